// The curves of one class, all networks: CAS, what was thresholded, attention.
"use strict";
(() => {
  const { el, css, clock, score, framed, onTheme, ticks } = window.tal;
  const HEIGHT = 190;
  const DASHES = { cas: [], signal: [6, 3], attention: [2, 3] };
  const WORDS = { cas: "CAS", signal: "signal", attention: "attention" };

  /** The curves of a class: [{text, kind, network, curve}]. */
  function curves_of(data, label) {
    const many = data.networks.length > 1;
    return data.networks.flatMap((network) =>
      ["cas", "signal", "attention"].flatMap((kind) => {
        const curve = kind === "attention" ? network.attention : network[kind].get(label);
        return curve ? [{ text: many ? `${WORDS[kind]}, ${network.name}` : WORDS[kind], kind, network, curve }] : [];
      }));
  }

  /** Values of a curve at the times of another network; null where it has none. */
  function sampled({ network, curve }, times) {
    if (network.times === times) return curve.values;
    return Array.from(times, (t) => curve.values[Math.round((t - network.first) / network.step)] ?? null);
  }

  function series({ text, kind }, i) {
    return { label: text, scale: kind === "cas" ? "cas" : "weight", stroke: () => css(`--series-${(i % 8) + 1}`), width: 1.5, dash: DASHES[kind], points: { show: false }, value: (_, v) => score(v) };
  }

  function axes(found, gutter) {
    const look = { stroke: () => css("--muted"), grid: { stroke: () => css("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const both = found.some((one) => one.kind === "cas") && found.some((one) => one.kind !== "cas");
    const side = (scale, grid) => ({ ...look, scale, side: 3, size: Math.min(both ? gutter / 2 : gutter, 56), grid: grid ? look.grid : { show: false }, space: 34, values: (_, values) => values.map((v) => (v === 0 ? "0" : String(Number(v.toPrecision(3))))) });
    const x = { ...look, space: 80, size: 26, splits: (u, _, from, to) => ticks(from, to, u.bbox.width / (devicePixelRatio || 1) / 90).times, values: (_, times) => times.map((t) => clock(t, times.length > 1 && times[1] - times[0] < 1 ? 1 : 0)) };
    const sides = [found.some((one) => one.kind !== "cas") && side("weight", !both), found.some((one) => one.kind === "cas") && side("cas", true)];
    return [x, ...sides.filter(Boolean)];
  }

  /** The card with the chart; null where there are no curves. */
  function curves(data, view, player) {
    if (!data.networks.length) return null;
    const title = el("h2", {}), place = el("div", { class: "chart" }), legend = el("div", { class: "legend" });
    const summary = el("p", { class: "visually-hidden" }), playhead = el("div", { class: "playhead" });
    const element = el("section", { class: "card curves", "aria-label": "Curves" }, el("div", { class: "head" }, title, legend), summary, place);
    let plot = null, found = [], values = [];

    function build() {
      if (plot) plot.destroy();
      plot = null;
      found = curves_of(data, view.focus);
      title.textContent = data.labels[view.focus] || "Curves";
      const width = place.clientWidth;
      if (!found.length || !width) { place.replaceChildren(el("p", { class: "muted" }, "No curves of this class.")); legend.replaceChildren(); return; }
      place.replaceChildren();
      const row = document.querySelector(".row.ruler .track"), box = row ? row.getBoundingClientRect() : null, mine = place.getBoundingClientRect();
      const gutter = box ? Math.max(0, box.left - mine.left) : 0, narrow = gutter < 90;
      const sides = axes(found, narrow ? 88 : gutter), taken = sides.slice(1).reduce((sum, one) => sum + one.size, 0);
      const times = found[0].network.times;
      plot = new window.uPlot({
        width, height: HEIGHT, legend: { show: false }, padding: [8, box ? Math.max(0, mine.right - box.right) : 0, 0, narrow ? 0 : gutter - taken],
        scales: { x: { time: false, auto: false, range: () => [view.from, view.to] }, weight: { range: (_, low, high) => [Math.min(0, low), Math.max(high, 1e-6) * 1.05] } },
        axes: sides, series: [{}, ...found.map(series)],
        cursor: { drag: { x: false, y: false }, y: false, points: { size: 6 } },
        hooks: { setCursor: [(u) => tell(u)] },
      }, [times, ...found.map((one) => sampled(one, times))], place);
      plot.over.append(playhead);
      plot.over.addEventListener("pointerdown", (event) => player.seek(plot.posToVal(event.offsetX, "x")));
      values = found.map(() => el("span", { class: "number" }));
      legend.replaceChildren(...found.map((one, i) => el("span", { class: "key" }, swatch(one.kind, i), one.text, values[i])));
      summary.textContent = `${title.textContent}: ` + found.map((one) => `${one.text} from ${score(one.curve.low)} to ${score(one.curve.high)}`).join("; ");
      move();
    }
    function swatch(kind, i) {
      const line = el("line", { x1: 0, x2: 22, y1: 5, y2: 5, "stroke-width": 2.5, "stroke-dasharray": DASHES[kind].join(" ") || null });
      line.style.stroke = `var(--series-${(i % 8) + 1})`;
      return el("svg", { viewBox: "0 0 22 10", width: 22, height: 10, "aria-hidden": "true" }, line);
    }
    function tell(u) {
      const i = u.cursor.idx;
      if (u.cursor.event) view.hover(i === null || i === undefined ? null : u.data[0][i]);
      show(i);
    }
    const show = (i) => found.forEach((_, k) => (values[k].textContent = i === null || i === undefined ? "" : score(plot.data[k + 1][i])));
    const move = framed(() => {
      if (!plot) return;
      const at = plot.valToPos(player.now(), "x");
      playhead.hidden = at < 0 || at > plot.over.clientWidth;
      playhead.style.left = `${at}px`;
      if (plot.cursor.idx === null || plot.cursor.idx === undefined) show(window.tal.nearest(plot.data[0], player.now()));
    });
    const range = framed(() => (plot && plot.setScale("x", { min: view.from, max: view.to }), move()));
    const rebuild = framed(build);
    const wide = new ResizeObserver(rebuild);
    wide.observe(place);
    const off = onTheme(() => plot && plot.redraw(false));
    view.on("range", range);
    view.on("focus", rebuild);
    player.on("time", move);
    return { element, end() { off(); wide.disconnect(); [move, range, rebuild].forEach((f) => f.stop()); if (plot) plot.destroy(); } };
  }
  Object.assign(window.tal, { curves });
})();
