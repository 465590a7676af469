// The pointer on the timeline: seek by click and drag, zoom by wheel and pinch, details under it; playhead and hover line.
"use strict";
(() => {
  const { el, clock, score, clamp, framed, nearest } = window.tal;

  /** The words under the pointer. */
  function details(data, view, label, t) {
    const at = (one) => one.start <= t && t <= one.end;
    const lines = [];
    if (label !== null) {
      lines.push(el("strong", {}, data.labels[label]));
      for (const one of data.detections.filter((d) => d.label === label && d.score >= view.min && at(d)).slice(0, 3)) {
        const fit = one.tiou === null ? "" : ` · tIoU ${one.tiou.toFixed(2)}`;
        lines.push(el("span", {}, `detection ${score(one.score)} · ${clock(one.start)} – ${clock(one.end)}${fit}`));
      }
      for (const one of (data.truth || []).filter((d) => d.label === label && at(d)).slice(0, 2)) lines.push(el("span", {}, `truth · ${clock(one.start)} – ${clock(one.end)}`));
      const curve = view.network && view.curve !== "none" && view.network[view.curve].get(label);
      if (curve) lines.push(el("span", { class: "muted" }, `${view.curve === "cas" ? "CAS" : "signal"} ${score(curve.values[nearest(view.network.times, t)])}`));
    }
    const reach = (view.to - view.from) / 150;
    for (const one of data.marks.filter((m) => m.start - reach <= t && t <= m.end + reach).slice(0, 2)) lines.push(el("span", { class: "muted" }, one.text || one.kind));
    return [el("span", { class: "number" }, clock(t, 2)), ...lines];
  }

  /** Make rows react; returns what ends it. */
  function pointer(data, view, player, rows) {
    const playhead = el("div", { class: "playhead" }), line = el("div", { class: "hoverline" });
    const overlay = el("div", { class: "overlay", "aria-hidden": "true" }, line, playhead);
    const tip = el("div", { class: "tip", "aria-hidden": "true" });
    const grid = rows.element, held = new Map();
    grid.append(overlay, tip);
    let dragging = false, pinch = null;

    const tracks = () => rows.ruler.getBoundingClientRect();
    const time = (x) => { const r = tracks(); return clamp(view.from + ((x - r.left) / r.width) * (view.to - view.from), 0, data.duration); };
    const share = (t) => ((t - view.from) / (view.to - view.from)) * 100;
    const on_track = (event) => event.target.closest && event.target.closest(".track");
    function place(element, t) {
      const at = share(t);
      element.hidden = !(at >= 0 && at <= 100);
      element.style.left = `${at}%`;
    }
    const labels = () => [...view.shown].sort((a, b) => a - b);
    function label_of(event) {
      const lane = event.target.closest(".lane");
      return lane ? labels()[[...lane.parentNode.children].indexOf(lane)] : null;
    }
    function show_tip(event, t) {
      tip.replaceChildren(...details(data, view, label_of(event), t));
      tip.hidden = false;
      const box = grid.getBoundingClientRect(), size = tip.getBoundingClientRect();
      tip.style.left = `${clamp(event.clientX - box.left + 14, 0, Math.max(0, box.width - size.width))}px`;
      tip.style.top = `${event.clientY - box.top + 18}px`;
    }
    /** The detection that is drawn in front. */
    function detection_at(label, t) {
      const there = data.detections.filter((d) => d.label === label && d.score >= view.min && d.start <= t && t <= d.end);
      return there.reduce((best, d) => (best && best.end - best.start <= d.end - d.start ? best : d), null);
    }

    function down(event) {
      if (!on_track(event) || event.button > 0) return;
      held.set(event.pointerId, event.clientX);
      if (held.size === 2) { pinch = spread(); dragging = false; return; }
      dragging = true;
      grid.setPointerCapture(event.pointerId);
      const t = time(event.clientX), label = label_of(event), hit = label !== null && detection_at(label, t);
      if (label !== null && label !== view.focus) view.look(label);
      view.choose(hit || null);
      player.seek(t);
    }
    const spread = () => { const [a, b] = [...held.values()]; return { length: Math.max(Math.abs(a - b), 12), middle: (a + b) / 2 }; };
    function move(event) {
      if (held.has(event.pointerId)) held.set(event.pointerId, event.clientX);
      if (pinch && held.size === 2) {
        const now = spread();
        view.zoom(pinch.length / now.length, time(now.middle));
        view.pan(((pinch.middle - now.middle) / tracks().width) * (view.to - view.from));
        pinch = now;
        return;
      }
      const t = time(event.clientX);
      if (dragging) player.seek(t);
      if (!dragging && !on_track(event)) { leave(); return; }
      view.hover(t);
      if (event.pointerType !== "touch") show_tip(event, t);
    }
    function up(event) {
      held.delete(event.pointerId);
      if (held.size < 2) pinch = null;
      dragging = false;
    }
    function leave() { tip.hidden = true; view.hover(null); }
    function wheel(event) {
      const zooms = event.ctrlKey || event.metaKey || event.target.closest(".ruler, .strip");
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
      if (!on_track(event) || (!zooms && !(sideways && view.zoomed))) return;
      event.preventDefault();
      const way = event.deltaY || event.deltaX;
      if (sideways && !event.ctrlKey) view.pan(((event.deltaX || event.deltaY) / tracks().width) * (view.to - view.from));
      else view.zoom(Math.exp(clamp(way, -240, 240) / 400), time(event.clientX));
    }

    for (const [kind, f] of [["pointerdown", down], ["pointermove", move], ["pointerup", up], ["pointercancel", up], ["pointerleave", leave]]) grid.addEventListener(kind, f);
    grid.addEventListener("wheel", wheel, { passive: false });
    tip.hidden = line.hidden = true;
    let told = -1;
    const tick = framed(() => {
      const t = player.now();
      place(playhead, t);
      if (Math.abs(t - told) < 0.2 && t !== 0 && !player.paused) return;
      told = t;
      rows.ruler.setAttribute("aria-valuenow", t.toFixed(1));
      rows.ruler.setAttribute("aria-valuetext", `${clock(t)} of ${clock(data.duration)}`);
    });
    const hover = () => (view.hovered === null ? (line.hidden = true) : place(line, view.hovered));
    player.on("time", () => { if (!dragging && !player.paused) view.follow(player.now()); tick(); });
    player.on("seek", () => dragging || view.follow(player.now()));
    view.on("range", () => (tick(), hover()));
    view.on("hover", hover);
    tick();
    return () => tick.stop();
  }
  Object.assign(window.tal, { pointer });
})();
