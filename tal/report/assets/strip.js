// Pictures along the time line: each place shows the nearest key frame.
"use strict";
(() => {
  const { el, surface, clamp } = window.tal;

  /** The row of pictures, null where there are none; `still(t)` is the picture at a time. */
  function strip(data, view) {
    const known = data.thumbnails;
    if (!known) return null;
    const height = 44, width = (known.width_px / known.height_px) * height;
    const canvas = el("canvas", { role: "img", "aria-label": `${known.times_s.length} pictures of the video`, style: { height: `${height}px` } });
    const image = new Image();
    image.src = known.image;
    image.decode().then(draw, () => {});

    function draw() {
      const s = image.complete && image.naturalWidth && surface(canvas, height);
      if (!s) return;
      const n = Math.max(1, Math.ceil(s.width / width)), per = s.width / n;
      for (let k = 0; k < n; k++) {
        const t = view.from + ((k + 0.5) / n) * (view.to - view.from), i = nearest(known.times_s, t);
        const spare = Math.max(0, (width - per) / width) * known.width_px;  // what does not fit is cut off
        const x = (i % known.columns) * known.width_px, y = Math.floor(i / known.columns) * known.height_px;
        s.c.drawImage(image, x + spare / 2, y, known.width_px - spare, known.height_px, k * per, 0, per - 1, height);
      }
    }
    return { canvas, draw };
  }

  /** Show in an element the picture that is nearest to a time. */
  function still(data, element) {
    const known = data.thumbnails;
    if (!known) return null;
    element.style.backgroundImage = `url("${known.image}")`;
    const rows = Math.ceil(known.times_s.length / known.columns);
    element.style.backgroundSize = `${known.columns * 100}% ${rows * 100}%`;
    element.style.aspectRatio = `${known.width_px} / ${known.height_px}`;
    const share = (i, n) => (n > 1 ? `${(i / (n - 1)) * 100}%` : "0%");
    return (t) => {
      const i = nearest(known.times_s, t);
      element.style.backgroundPosition = `${share(i % known.columns, known.columns)} ${share(Math.floor(i / known.columns), rows)}`;
    };
  }

  /** The place of the time nearest to `t` in increasing times. */
  function nearest(times, t) {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < t) low = middle + 1;
      else high = middle;
    }
    return low > 0 && t - times[low - 1] < times[low] - t ? low - 1 : clamp(low, 0, times.length - 1);
  }
  Object.assign(window.tal, { strip, still, nearest });
})();
