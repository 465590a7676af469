// Drawing on canvases: bars, curves, marks, the time axis. Geometry in CSS pixels.
"use strict";
(() => {
  const { css, clock, ticks, onTheme, score } = window.tal;
  const NAMES = ["bg", "surface", "line", "text", "muted", "accent", "detection", "truth", "attention", "warn", "grid"];
  let palette = null, hatches = {};
  onTheme(() => ((palette = null), (hatches = {})));
  const colours = () => (palette ??= Object.fromEntries(NAMES.map((name) => [name, css(`--${name}`)])));

  /** Stripes of a colour, rising or falling: what is told by more than its colour. */
  function hatch(c, colour, rising = true) {
    const key = `${colour} ${rising}`;
    if (hatches[key]) return hatches[key];
    const tile = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
    const p = tile.getContext("2d");
    p.strokeStyle = colour;
    p.lineWidth = 2;
    for (const shift of [-8, 0, 8]) {
      p.moveTo(shift, rising ? 8 : 0);
      p.lineTo(shift + 8, rising ? 0 : 8);
    }
    p.stroke();
    return (hatches[key] = c.createPattern(tile, "repeat"));
  }

  function box(c, x, y, width, height, radius = 3) {
    c.beginPath();
    c.roundRect(x, y, width, height, Math.min(radius, width / 2, height / 2));
  }

  /** Times to pixels over a width. */
  const scale = (view, width) => (t) => ((t - view.from) / (view.to - view.from)) * width;

  /** Where something lies that may be very short: [x, width >= 2]. */
  function extent(x, one, width) {
    const left = Math.max(x(one.start), -4), right = Math.min(x(one.end), width + 4);
    return [left, Math.max(right - left, 2)];
  }
  const visible = (view, one) => one.end >= view.from && one.start <= view.to;

  function grid(c, view, x, width, height) {
    c.fillStyle = colours().grid;
    for (const t of ticks(view.from, view.to, width / 90).times) c.fillRect(Math.round(x(t)), 0, 1, height);
  }

  /** The time axis. */
  function axis(c, view, width, height) {
    const x = scale(view, width), p = colours(), { step, times } = ticks(view.from, view.to, width / 90);
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    for (const t of times) {
      const at = Math.round(x(t)), text = clock(t, step < 1 ? 1 : 0), half = c.measureText(text).width / 2;
      c.fillStyle = p.line;
      c.fillRect(at, height - 6, 1, 6);
      c.fillStyle = p.muted;
      c.fillText(text, Math.min(Math.max(at - half, 0), width - 2 * half), height / 2 - 3);
    }
  }

  /** An area under a curve between two heights; `low` and `high` are the values at bottom and top. */
  function area(c, view, x, network, curve, { top, bottom, low, high }) {
    const { first, step, n } = network, values = curve.values, p = colours();
    const y = (v) => bottom - ((v - low) / (high - low || 1)) * (bottom - top);
    const from = Math.max(0, Math.floor((view.from - first) / step) - 1);
    const to = Math.min(n - 1, Math.ceil((view.to - first) / step) + 1);
    if (to < from) return;
    c.beginPath();
    for (let i = from; i <= to; i++) c.lineTo(x(first + i * step), y(values[i]));
    c.lineWidth = 1.25;
    c.lineJoin = "round";
    c.strokeStyle = p.attention;
    c.stroke();
    c.lineTo(x(first + to * step), bottom);
    c.lineTo(x(first + from * step), bottom);
    c.globalAlpha = 0.16;
    c.fillStyle = p.attention;
    c.fill();
    c.globalAlpha = 1;
  }

  /** A detection: a frame that is filled from below as far as its score reaches. */
  function detection(c, x, one, share, chosen, { y, height, width }) {
    const [left, wide] = extent(x, one, width), p = colours();
    const filled = Math.max(3, share * height);
    c.fillStyle = p.surface;
    box(c, left, y, wide, height);
    c.fill();
    c.save();
    c.clip();
    c.fillStyle = p.detection;
    c.globalAlpha = 0.18;
    c.fillRect(left, y, wide, height);
    c.globalAlpha = 1;
    c.fillRect(left, y + height - filled, wide, filled);
    c.restore();
    c.lineWidth = chosen ? 2.5 : 1;
    c.strokeStyle = chosen ? p.text : p.detection;
    box(c, left, y, wide, height);
    c.stroke();
  }

  /** The scores above detections, from the best on, where there is room. */
  function scores(c, x, found, { y, width }) {
    const taken = [];
    c.font = "600 10px system-ui, sans-serif";
    c.textBaseline = "alphabetic";
    c.fillStyle = colours().text;
    for (const one of found) {
      const [left, wide] = extent(x, one, width), text = score(one.score), need = c.measureText(text).width;
      const at = Math.min(Math.max(left + wide / 2 - need / 2, 1), width - need - 1);
      if (wide < 12 || taken.some(([a, b]) => at < b + 4 && at + need > a - 4)) continue;
      taken.push([at, at + need]);
      c.fillText(text, at, y - 3);
    }
  }

  function truth(c, x, one, { y, height, width }) {
    const [left, wide] = extent(x, one, width), p = colours();
    box(c, left, y, wide, height, 2);
    c.fillStyle = p.surface;
    c.fill();
    c.fillStyle = hatch(c, p.truth);
    c.fill();
    c.lineWidth = 1;
    c.strokeStyle = p.truth;
    c.stroke();
  }

  const MARKS = {
    shot(c, x, at, wide, height, p) {
      c.fillStyle = p.muted;
      c.fillRect(Math.round(at), 3, 1, height - 6);
      c.beginPath();
      c.moveTo(at - 3, 3); c.lineTo(at + 4, 3); c.lineTo(at + 0.5, 7);
      c.fill();
    },
    gap(c, x, at, wide, height, p) {
      c.fillStyle = hatch(c, p.warn, false);
      c.fillRect(at, 3, wide, height - 6);
      c.strokeStyle = p.warn;
      c.strokeRect(at + 0.5, 3.5, Math.max(wide - 1, 1), height - 7);
    },
    damage(c, x, at, wide, height, p) {
      c.strokeStyle = p.warn;
      c.lineWidth = 1.5;
      c.beginPath();
      for (let i = 0, s = at; s <= at + wide; i++, s += 4) c.lineTo(s, height - 3 - (i % 2) * 4);
      c.stroke();
    },
    ambiguous(c, x, at, wide, height, p) {
      c.setLineDash([3, 2]);
      c.strokeStyle = p.muted;
      c.lineWidth = 1;
      c.strokeRect(at + 0.5, 4.5, Math.max(wide - 1, 1), height - 9);
      c.setLineDash([]);
      c.fillStyle = p.muted;
      c.font = "600 11px system-ui, sans-serif";
      c.textBaseline = "middle";
      if (wide > 12) c.fillText("?", at + wide / 2 - 3, height / 2);
    },
  };
  /** Gaps, damage, cuts and ambiguous time. */
  function marks(c, view, found, width, height) {
    const x = scale(view, width), p = colours();
    for (const one of found) {
      if (!visible(view, one)) continue;
      const [left, wide] = one.kind === "shot" ? [x(one.start), 0] : extent(x, one, width);
      MARKS[one.kind](c, x, left, wide, height, p);
    }
  }

  /** Time without pictures, behind a lane. */
  function shade(c, view, found, x, width, height) {
    c.globalAlpha = 0.25;
    for (const one of found) {
      if (one.kind !== "gap" || !visible(view, one)) continue;
      const [left, wide] = extent(x, one, width);
      c.fillStyle = hatch(c, colours().warn, false);
      c.fillRect(left, 0, wide, height);
    }
    c.globalAlpha = 1;
  }
  Object.assign(window.tal, { paint: { colours, scale, visible, grid, axis, area, detection, scores, truth, marks, shade } });
})();
