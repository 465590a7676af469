// What is chosen by hand: least score, classes, curves, zoom; and the player's buttons.
"use strict";
(() => {
  const { el, icon, clock, score, plural, onTheme } = window.tal;
  const STEPS = 200;
  const ICONS = {
    play: "M7 4v16l13-8z", pause: "M6 4h4v16H6zm8 0h4v16h-4z", next: "M5 4v16l10-8zm11 0h3v16h-3z", previous: "M19 4v16L9 12zM5 4h3v16H5z",
    plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z", minus: "M5 11h14v2H5z", fit: "M3 6h2v12H3zm16 0h2v12h-2zM7 11h10v2H7zm0 1 3-4v8zm10 0-3-4v8z",
    help: "M11 16h2v2.5h-2zM12 5a4 4 0 0 0-4 4h2a2 2 0 1 1 3 1.8c-1.3.8-2 1.7-2 3.2h2c0-1 .5-1.4 1.3-1.9A4 4 0 0 0 12 5z",
    mute: "M4 9v6h4l5 5V4L8 9zm12-1.5a6 6 0 0 1 0 9", full: "M4 9V4h5v2H6v3zm11-5h5v5h-2V6h-3zM4 15h2v3h3v2H4zm14 0h2v5h-5v-2h3z",
  };

  /** A button with a drawing; its name is also its tooltip. */
  function tool(drawing, name, onclick, key = "") {
    return el("button", { type: "button", class: "button tool", "aria-label": name, title: key ? `${name} (${key})` : name, onclick }, icon(ICONS[drawing]));
  }

  /** The slider of the least score that is shown. */
  function threshold(data, view) {
    const spread = view.highest - view.lowest, value = el("output", { class: "number" });
    const slider = el("input", { type: "range", min: 0, max: STEPS, value: 0, step: 1, "aria-label": "Least score that is shown" });
    const text = () => {
      value.textContent = `≥ ${score(view.min)}`;
      slider.setAttribute("aria-valuetext", `${score(view.min)}, ${plural(view.detections.length, "detection")} shown`);
    };
    slider.addEventListener("input", () => (view.filter(view.lowest + (spread * slider.value) / STEPS), text()));
    text();
    return el("label", { class: "field threshold" }, el("span", {}, "Score"), slider, value);
  }

  /** The choice of classes; null where there is none. */
  function classes(data, view) {
    if (data.labels.length < 2) return null;
    const count = el("span", {}), search = el("input", { type: "search", placeholder: "Find a class", "aria-label": "Find a class" });
    const boxes = data.labels.map((name, i) => {
      const input = el("input", { type: "checkbox", onchange: change });
      const n = data.detections.filter((one) => one.label === i).length;
      return { i, input, element: el("label", { class: "choice" }, input, el("span", { class: "name" }, name), el("span", { class: "muted number" }, n)) };
    });
    const set = (labels) => (view.show(labels), tell());
    function change() { set(boxes.filter((one) => one.input.checked).map((one) => one.i)); }
    function tell() {
      boxes.forEach((one) => (one.input.checked = view.shown.has(one.i)));
      count.textContent = view.shown.size === data.labels.length ? `All ${data.labels.length} classes` : `${view.shown.size} of ${data.labels.length} classes`;
    }
    search.addEventListener("input", () => boxes.forEach((one) => (one.element.hidden = !data.labels[one.i].toLowerCase().includes(search.value.trim().toLowerCase()))));
    const matching = () => boxes.filter((one) => !one.element.hidden).map((one) => one.i);
    const button = (text, labels) => el("button", { type: "button", class: "button quiet", onclick: () => set(labels()) }, text);
    tell();
    const all = el("div", { class: "choices" }, boxes.map((one) => one.element));
    const details = el("details", { class: "menu" }, el("summary", { class: "button" }, count),
      el("div", { class: "panel" }, data.labels.length > 8 && search, el("div", { class: "buttons" }, button("All", matching), button("None", () => [])), all));
    details.addEventListener("keydown", (event) => event.key === "Escape" && ((details.open = false), details.firstChild.focus()));
    document.addEventListener("pointerdown", (event) => details.isConnected && !details.contains(event.target) && (details.open = false));
    return details;
  }

  /** The choice of the network and curve that lanes show; null where there are no curves. */
  function curve(data, view) {
    if (!data.networks.length) return null;
    const options = data.networks.flatMap((network) => ["signal", "cas"].filter((kind) => network[kind].size).map((kind) => ({ network, kind })));
    const many = data.networks.length > 1;
    const select = el("select", { "aria-label": "Curve in the lanes" },
      options.map((one, i) => el("option", { value: i }, (one.kind === "cas" ? "CAS" : "Signal") + (many ? `, ${one.network.name}` : ""))), el("option", { value: -1 }, "No curve"));
    select.value = options.findIndex((one) => one.network === view.network && one.kind === view.curve);
    select.addEventListener("change", () => { const one = options[select.value]; view.draw(one ? one.network : view.network, one ? one.kind : "none"); });
    return el("label", { class: "field" }, el("span", {}, "Curve"), select);
  }

  function zoom(view, player, help) {
    const by = (factor) => () => view.zoom(factor, player.now() >= view.from && player.now() <= view.to ? player.now() : (view.from + view.to) / 2);
    return el("div", { class: "group", role: "group", "aria-label": "Zoom" }, tool("minus", "Zoom out", by(1.6), "−"), tool("plus", "Zoom in", by(1 / 1.6), "+"), tool("fit", "Whole video", view.fit, "0"), tool("help", "Keys", help, "?"));
  }

  /** The slider that moves the part that is shown; hidden while that is all. */
  function scroll(data, view) {
    const slider = el("input", { type: "range", class: "pan", min: 0, max: 1000, step: 1, "aria-label": "Part of the video that is shown" });
    const rest = () => Math.max(data.duration - (view.to - view.from), 1e-9);
    function tell() {
      slider.hidden = !view.zoomed;
      slider.value = Math.round((view.from / rest()) * 1000);
      slider.setAttribute("aria-valuetext", `${clock(view.from)} to ${clock(view.to)}`);
    }
    slider.addEventListener("input", () => { const from = (slider.value / 1000) * rest(); view.range(from, from + view.to - view.from); });
    view.on("range", tell);
    tell();
    return slider;
  }

  /** The row of buttons below the picture. */
  function transport(data, view, player, step) {
    const play = tool("play", "Play", player.toggle, "space"), now = el("span", { class: "number now" });
    const speed = el("select", { "aria-label": "Speed" }, [0.25, 0.5, 1, 1.5, 2, 4].map((x) => el("option", { value: x, selected: x === 1 }, `${x}×`)));
    speed.addEventListener("change", () => player.rate(Number(speed.value)));
    const mute = tool("mute", "Mute", () => { player.video.muted = !player.video.muted; mute.setAttribute("aria-pressed", String(player.video.muted)); });
    const full = tool("full", "Full screen", () => player.video.requestFullscreen && player.video.requestFullscreen().catch(() => {}));
    const length = clock(data.duration);
    function state() {
      const name = player.paused ? "Play" : "Pause";
      play.replaceChildren(icon(ICONS[player.paused ? "play" : "pause"]));
      play.setAttribute("aria-label", name);
      play.title = `${name} (space)`;
      mute.hidden = full.hidden = !player.video;
    }
    player.on("state", state);
    player.on("time", (t) => (now.textContent = `${clock(t)} / ${length}`));
    now.textContent = `${clock(player.now())} / ${length}`;
    state();
    return el("div", { class: "transport" }, tool("previous", "Previous detection", () => step(-1), "p"), play, tool("next", "Next detection", () => step(1), "n"), now, el("span", { class: "spring" }), speed, mute, full);
  }
  Object.assign(window.tal, { controls: { threshold, classes, curve, zoom, scroll, transport, tool } });
})();
