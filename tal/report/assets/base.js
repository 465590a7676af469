// What all parts of the page share: elements, texts, colours.
"use strict";
window.tal = (() => {
  /** Make an element; texts become text nodes, so that no value is ever read as HTML. */
  function el(tag, attributes = {}, ...children) {
    const svg = ["svg", "path", "circle", "rect", "line", "g"].includes(tag);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(made.style, value);
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  }

  /** 62.34 -> "1:02.3"; with hours where there are some. */
  function clock(seconds, digits = 1) {
    const unit = 10 ** digits;
    const whole = Math.round(Math.max(0, seconds) * unit) / unit;
    const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    const s = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
    return h ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
  }

  /** A score for people: 0.83, 12.4, 0.0012. */
  function score(x) {
    if (x === null || x === undefined) return "–";
    const size = Math.abs(x);
    return size === 0 || size >= 0.1 ? x.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2) : x.toPrecision(2);
  }

  const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
  const href = (name) => `#/video/${encodeURIComponent(name)}`;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (i) => css(`--series-${(i % 8) + 1}`);
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  let pending = 0;
  /** Tell a screen reader. */
  function say(text) {
    const status = document.getElementById("status");
    status.textContent = "";
    clearTimeout(pending);
    pending = setTimeout(() => (status.textContent = text), 60);
  }

  /** A drawing from path data, 24 x 24. */
  const icon = (d) => el("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, el("path", { d }));

  /** A function that runs `f` once before the next frame, however often it is called. */
  function framed(f) {
    let asked = 0;
    const call = () => (asked ||= requestAnimationFrame(() => ((asked = 0), f())));
    call.stop = () => cancelAnimationFrame(asked);
    return call;
  }

  /** Something that others listen to: `on(kind, f)` returns what ends it. */
  function emitter() {
    const listeners = new Map();
    return {
      on(kind, f) {
        listeners.set(kind, [...(listeners.get(kind) || []), f]);
        return () => listeners.set(kind, listeners.get(kind).filter((other) => other !== f));
      },
      emit: (kind, value) => (listeners.get(kind) || []).forEach((f) => f(value)),
    };
  }

  /** Size a canvas to its box; return its context in CSS pixels, or null where it has no size. */
  function surface(canvas, height) {
    const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!width) return null;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    return { c, width, height };
  }

  return { el, clock, score, plural, href, css, colour, clamp, say, icon, framed, emitter, surface };
})();
