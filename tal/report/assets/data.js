// The data inside the page: a list of all videos, and each video's own, unpacked when it is opened.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

  /** {low, high, data} -> Float32Array. */
  function unpack(packed) {
    const levels = new DataView(bytes(packed.data).buffer), n = levels.byteLength / 2;
    const values = new Float32Array(n), unit = (packed.high - packed.low) / 65535;
    for (let i = 0; i < n; i++) values[i] = packed.low + unit * levels.getUint16(2 * i, true);
    return values;
  }

  /** A curve that is unpacked when it is first looked at: {low, high, values}. */
  function lazy(packed) {
    let values = null;
    return { low: packed.low, high: packed.high, get values() { return (values ??= unpack(packed)); } };
  }
  const lazily = (curves) => new Map(Object.entries(curves).map(([label, one]) => [Number(label), lazy(one)]));

  function network([name, one]) {
    const [first, last, n] = one.times_s.length ? one.times_s : [0, 0, 0];
    const step = n > 1 ? (last - first) / (n - 1) : 1;
    const times = Float64Array.from({ length: n }, (_, i) => first + i * step);
    const attention = one.attention && lazy(one.attention);
    return { name, first, step, n, times, attention, cas: lazily(one.cas), signal: lazily(one.signal) };
  }

  const tiou = (a, b) => {
    const shared = Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));
    const union = a.end - a.start + b.end - b.start - shared;
    return union > 0 ? shared / union : 0;
  };

  /** Best overlap with an instance of the same class; null without truth. */
  function overlap(detection, truth) {
    if (!truth) return null;
    return truth.reduce((best, one) => (one.label === detection.label ? Math.max(best, tiou(detection, one)) : best), 0);
  }

  /** A video by its place in the list. */
  function video(i) {
    const plain = read(`video-${i}`);
    const truth = plain.truth && plain.truth.map(([label, start, end]) => ({ label, start, end }));
    const detections = plain.detections.map(([label, start, end, score], rank) => ({ label, start, end, score, rank }));
    detections.forEach((one) => (one.tiou = overlap(one, truth)));
    const marks = plain.marks.map(([kind, start, end, text]) => ({ kind, start, end, text }));
    const ends = [...detections, ...(truth || []), ...marks].map((one) => one.end);
    const duration = ends.reduce((a, b) => Math.max(a, b), plain.duration_s) || 1;
    return { ...plain, i, duration, truth, detections, marks, networks: Object.entries(plain.curves).map(network) };
  }

  /** The embedded file of a video as an address that can be played. */
  function embedded(i, type) {
    return URL.createObjectURL(new Blob([bytes(document.getElementById(`media-${i}`).textContent)], { type }));
  }

  Object.assign(window.tal, { index: read("index"), overview: read("overview"), video, embedded });
})();
