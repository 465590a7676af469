// What part of a video is looked at, and what of it: range, least score, classes, networks, the chosen detection.
"use strict";
(() => {
  const { clamp, emitter } = window.tal;
  const MANY = 40;  // more lanes are shown when asked for
  const SHORTEST = 0.5;  // seconds that can be zoomed to

  /** The state of a page; emits "range", "filter", "lanes", "curve", "focus", "select" and "hover". */
  function view(data) {
    const bus = emitter(), d = data.duration;
    const least = Math.min(SHORTEST, d);
    const scores = data.detections.map((one) => one.score);
    const n = data.n_occurring || data.labels.length;
    const self = {
      on: bus.on,
      from: 0,
      to: d,
      lowest: scores.length ? scores.reduce((a, b) => Math.min(a, b)) : 0,
      highest: scores.length ? scores.reduce((a, b) => Math.max(a, b)) : 1,
      shown: new Set(),
      min: 0,
      network: data.networks[0] || null,
      curve: "signal",
      focus: 0,
      chosen: null,
      hovered: null,
      get zoomed() { return self.to - self.from < d - 1e-9; },
      range(from, to) {
        const length = clamp(to - from, least, d);
        const start = clamp(from, 0, d - length);
        if (start === self.from && start + length === self.to) return;
        [self.from, self.to] = [start, start + length];
        bus.emit("range");
      },
      /** Zoom by a factor, keeping the time `at` where it is. */
      zoom(factor, at) {
        const length = clamp((self.to - self.from) * factor, least, d);
        const share = (at - self.from) / (self.to - self.from);
        self.range(at - share * length, at + (1 - share) * length);
      },
      fit() { self.range(0, d); },
      pan(seconds) { self.range(self.from + seconds, self.to + seconds); },
      /** Bring a time into view without zooming. */
      follow(t) {
        const length = self.to - self.from;
        if (t < self.from || t > self.to) self.range(t - length * 0.1, t + length * 0.9);
      },
      filter(score) { self.min = score; bus.emit("filter"); },
      show(labels) { self.shown = new Set(labels); bus.emit("lanes"); bus.emit("filter"); },
      draw(network, curve) { self.network = network; self.curve = curve; bus.emit("curve"); },
      look(label) { self.focus = label; bus.emit("focus"); },
      choose(detection) { self.chosen = detection; bus.emit("select"); },
      hover(t) { self.hovered = t; bus.emit("hover"); },
      passes: (one) => one.score >= self.min && self.shown.has(one.label),
      get detections() { return data.detections.filter(self.passes); },
    };
    self.min = self.lowest;
    self.shown = new Set(Array.from({ length: Math.min(n, MANY) }, (_, i) => i));
    if (self.network && !self.network.signal.size) self.curve = "cas";
    return self;
  }

  /** Ticks of a time axis: at most so many of them between two times, at round distances. */
  function ticks(from, to, most) {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    const step = steps.find((s) => (to - from) / s <= most) || 14400;
    const first = Math.ceil(from / step - 1e-9);
    const found = [];
    for (let i = first; i * step <= to + 1e-9; i++) found.push(i * step);
    return { step, times: found };
  }
  Object.assign(window.tal, { view, ticks });
})();
