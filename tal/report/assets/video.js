// A video's page: picture, list, timeline and curves, tied together.
"use strict";
(() => {
  const { el, clock, plural, framed, still, controls, score } = window.tal;

  /** What is said in place of a picture. */
  function notice(data, code) {
    const media = data.media;
    if (!media) return ["No video file was at hand when this report was made.", "The clock goes on without it."];
    const why = code === 2 || !media.embedded ? "It may have been moved, or be of a kind that this browser does not know" : "It is of a kind that this browser does not know";
    return [`${media.file} cannot be played here.`, `${why}${media.type ? ` (${media.type})` : ""}. The clock goes on without it.`];
  }

  /** The stage: the video, or a clock with the nearest picture. */
  function stage(data, player) {
    const picture = el("div", { class: "still" }), time = el("div", { class: "big number" }), words = el("div", { class: "words" });
    const screen = el("div", { class: "screen" });
    const show = still(data, picture);
    const tick = (t) => { time.textContent = clock(t); if (show) show(t); };
    function clockwork(code) {
      const [first, second] = notice(data, code);
      words.replaceChildren(el("p", {}, first), el("p", { class: "muted small" }, second));
      screen.replaceChildren(...(show ? [picture] : []), time, words);
      screen.classList.add("without");
      player.on("time", tick);
      tick(player.now());
    }
    if (player.video) screen.append(player.video);
    else clockwork(0);
    return { screen, clockwork };
  }

  /** What is detected, and true, at this moment. */
  function moment(data, view, player) {
    const element = el("div", { class: "moment" });
    let told = "";
    const tell = framed(() => {
      const t = player.now(), at = (one) => one.start <= t && t <= one.end;
      const best = new Map();
      for (const one of data.detections) if (view.passes(one) && at(one) && !(best.get(one.label)?.score >= one.score)) best.set(one.label, one);
      const real = [...new Set((data.truth || []).filter(at).map((one) => one.label))];
      const key = JSON.stringify([[...best.values()].map((one) => one.rank), real]);
      if (key === told) return;
      told = key;
      const chips = [...best.values()].sort((a, b) => b.score - a.score).map((one) => el("span", { class: "chip detected" }, data.labels[one.label], el("b", { class: "number" }, score(one.score))));
      const truths = real.map((label) => el("span", { class: "chip true" }, "truth: ", data.labels[label]));
      element.replaceChildren(el("span", { class: "muted small" }, "Now"), ...(chips.length + truths.length ? [...chips, ...truths] : [el("span", { class: "muted small" }, "nothing detected")]));
    });
    player.on("time", tell);
    view.on("filter", tell);
    tell();
    return { element, end: () => tell.stop() };
  }

  function legend(data) {
    const key = (kind, text) => el("span", { class: "key" }, el("i", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
    const kinds = new Set(data.marks.map((one) => one.kind));
    return el("div", { class: "legend small" }, key("detection", "detection, filled by score"), data.truth && key("truth", "truth"), data.networks.length > 0 && key("curve", "curve"),
      kinds.has("shot") && key("shot", "possible cut"), kinds.has("gap") && key("gap", "no pictures"), kinds.has("damage") && key("damage", "damage"), kinds.has("ambiguous") && key("ambiguous", "ambiguous"));
  }

  function facts(data) {
    const truth = data.truth ? ` · ${plural(data.truth.length, "true instance")}` : "";
    const marks = data.marks.length ? ` · ${window.tal.markText(data)}` : "";
    return `${clock(data.duration)} · ${plural(data.detections.length, "detection")}${truth}${marks}`;
  }

  /** Fill an element with the page of video `i`; returns what ends it. */
  function page(element, i) {
    const data = window.tal.video(i), view = window.tal.view(data);
    let shown = null;
    const player = window.tal.player(data, (code) => shown.clockwork(code));
    shown = stage(data, player);
    const keys = window.tal.keys(data, view, player), now = moment(data, view, player);
    const list = window.tal.list(data, view, player);
    const rows = window.tal.lanes(data, view, player), unpoint = window.tal.pointer(data, view, player, rows);
    const chart = window.tal.curves(data, view, player);
    const tools = el("div", { class: "toolbar" }, controls.threshold(data, view), controls.classes(data, view), controls.curve(data, view), el("span", { class: "spring" }), controls.zoom(view, player, keys.help));
    element.replaceChildren(
      el("div", { class: "title" }, el("h1", {}, data.name), el("p", { class: "muted" }, facts(data))),
      el("div", { class: "upper" },
        el("section", { class: "card stage", "aria-label": "Video" }, shown.screen, controls.transport(data, view, player, keys.step), now.element), list.element),
      el("section", { class: "card timeline", "aria-label": "Timeline" }, tools, rows.element, controls.scroll(data, view), legend(data)),
      ...(chart ? [chart.element] : []));
    window.tal.shown = { data, view, player };
    return () => { [now, list, rows, keys, player].forEach((one) => one.end()); if (chart) chart.end(); unpoint(); };
  }
  Object.assign(window.tal, { page });
})();
