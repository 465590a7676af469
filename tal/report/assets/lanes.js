// The rows of the timeline: axis, pictures, marks, and a lane for each class.
"use strict";
(() => {
  const { el, surface, framed, paint, plural, score, onTheme } = window.tal;
  const AXIS = 26, MARKS = 24;

  function row(kind, gutter, ...track) {
    return el("div", { class: `row ${kind}` }, el("div", { class: "gutter" }, gutter), el("div", { class: "track" }, ...track));
  }

  /** How high the parts of a lane are, px. */
  function measures(data, view) {
    const curve = data.networks.length && view.curve !== "none" ? (view.shown.size > 8 ? 24 : 34) : 14;
    const detection = 6 + curve, truth = detection + 19;
    return { curve, detection, truth, height: data.truth ? truth + 14 : detection + 23 };
  }

  /** Least and largest value over all classes of what is drawn: lanes can be compared. */
  function bounds(view) {
    if (!view.network || view.curve === "none") return null;
    const all = [...view.network[view.curve].values()];
    return { low: Math.min(...all.map((one) => one.low)), high: Math.max(...all.map((one) => one.high)) };
  }

  /** Detections from back to front: a short one inside a long one stays visible, and so does the chosen one. */
  function stacked(found, chosen) {
    const back = found.filter((one) => one !== chosen).sort((a, b) => b.end - b.start - (a.end - a.start) || a.score - b.score);
    return found.includes(chosen) ? [...back, chosen] : back;
  }

  function lane(data, view, label) {
    const name = data.labels[label];
    const mine = data.detections.filter((one) => one.label === label);  // by falling score
    const real = data.truth ? data.truth.filter((one) => one.label === label) : [];
    const canvas = el("canvas", { role: "img" }), count = el("span", { class: "count muted" });
    const button = el("button", { type: "button", class: "lane-name", title: `Curves of ${name}`, onclick: () => view.look(label) },
      el("span", { class: "lane-label" }, name), count);
    const made = { label, seen: false, element: row("lane", button, canvas), draw, tell };

    function tell() {
      const passing = mine.filter((one) => one.score >= view.min);
      const best = passing.length ? `, best ${score(passing[0].score)}` : "";
      const known = data.truth ? `; ${plural(real.length, "true instance")}` : "";
      count.textContent = data.truth ? `${passing.length} / ${real.length}` : `${passing.length}`;
      canvas.setAttribute("aria-label", `${name}: ${plural(passing.length, "detection")} shown${best}${known}`);
      button.setAttribute("aria-pressed", String(view.focus === label));
      button.setAttribute("aria-label", `${name}, ${plural(passing.length, "detection")}${known}: show its curves`);
    }
    function draw() {
      const m = measures(data, view);
      canvas.style.height = `${m.height}px`;
      const s = made.seen && surface(canvas, m.height);
      if (!s) return;
      const { c, width } = s, x = paint.scale(view, width), limits = bounds(view);
      const passing = mine.filter((one) => one.score >= view.min && paint.visible(view, one));
      paint.grid(c, view, x, width, m.height);
      paint.shade(c, view, data.marks, x, width, m.height);
      const curve = limits && view.network[view.curve].get(label);
      if (curve) paint.area(c, view, x, view.network, curve, { top: 6, bottom: 3 + m.curve, ...limits });
      const share = (one) => (one.score - view.lowest) / (view.highest - view.lowest || 1) * 0.85 + 0.15;
      const place = { y: m.detection, height: 16, width };
      for (const one of stacked(passing, view.chosen)) paint.detection(c, x, one, share(one), one === view.chosen, place);
      paint.scores(c, x, passing, place);
      for (const one of real) if (paint.visible(view, one)) paint.truth(c, x, one, { y: m.truth, height: 9, width });
    }
    return made;
  }

  /** All rows in an element; returns it with `redraw` and `end`. */
  function lanes(data, view, player) {
    const ruler = el("canvas", { role: "slider", tabindex: "0", "aria-label": "Position in the video", "aria-valuemin": "0", "aria-valuemax": data.duration.toFixed(1), class: "ruler-canvas" });
    const marks = el("canvas", { role: "img", "aria-label": markText(data) });
    const strip = window.tal.strip(data, view);
    const body = el("div", { class: "lanes" });
    const element = el("div", { class: "rows" },
      row("ruler", el("span", { class: "muted small" }, "Time"), ruler),
      strip && row("strip", el("span", { class: "muted small" }, "Pictures"), strip.canvas),
      data.marks.length > 0 && row("marks", el("span", { class: "muted small" }, "Marks"), marks),
      body);
    let shown = [];

    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const one = shown.find((other) => other.element === entry.target);
        if (one) one.seen = entry.isIntersecting;
      }
      redraw();
    }, { rootMargin: "900px" });
    function fill() {
      seen.disconnect();
      shown = [...view.shown].sort((a, b) => a - b).map((label) => lane(data, view, label));
      body.replaceChildren(...shown.map((one) => one.element));
      if (!shown.length) body.append(el("p", { class: "empty muted" }, data.labels.length ? "No class is chosen." : data.reason ? `No detections: ${data.reason}.` : "Nothing was detected here."));
      shown.forEach((one) => (one.tell(), one.draw(), seen.observe(one.element)));
    }
    const redraw = framed(() => {
      const a = surface(ruler, AXIS), m = data.marks.length && surface(marks, MARKS);
      if (a) paint.axis(a.c, view, a.width, AXIS);
      if (m) paint.marks(m.c, view, data.marks, m.width, MARKS);
      if (strip) strip.draw();
      shown.forEach((one) => one.draw());
    });
    const tell = () => (shown.forEach((one) => one.tell()), redraw());
    const wide = new ResizeObserver(redraw);
    wide.observe(element);
    ruler.style.height = `${AXIS}px`;
    marks.style.height = `${MARKS}px`;
    for (const kind of ["range", "select", "curve"]) view.on(kind, redraw);
    view.on("filter", tell);
    view.on("focus", tell);
    view.on("lanes", fill);
    const off = onTheme(redraw);
    fill();
    redraw();
    return { element, ruler, redraw, end() { off(); redraw.stop(); seen.disconnect(); wide.disconnect(); } };
  }

  const KINDS = { shot: ["possible cut", "possible cuts"], gap: ["gap", "gaps"], damage: ["kind of damage", "kinds of damage"], ambiguous: ["ambiguous stretch", "ambiguous stretches"] };
  /** What the marks are, in words: "2 gaps, 14 possible cuts". */
  function markText(data) {
    const kinds = Object.keys(KINDS).map((kind) => [kind, data.marks.filter((one) => one.kind === kind).length]);
    return kinds.filter(([, n]) => n).map(([kind, n]) => plural(n, ...KINDS[kind])).join(", ");
  }
  Object.assign(window.tal, { lanes, markText });
})();
