// The keyboard, and a dialog that says what it does.
"use strict";
(() => {
  const { el, say, clock, score } = window.tal;
  const HELP = [
    ["Space", "Play or pause"], ["← →", "One second back or on; with Shift five"], [", .", "A twenty-fifth of a second back or on"],
    ["n p", "Next or previous detection"], ["+ −", "Zoom in or out"], ["0", "Whole video"], ["Home End", "Start or end"], ["t", "Light or dark"], ["?", "This list"],
  ];
  const POINTER = "Click or drag on the timeline to seek. The wheel zooms over the axis and the pictures, with Ctrl everywhere; two fingers zoom on a touch screen.";

  function dialog() {
    const close = el("button", { type: "button", class: "button", onclick: () => made.close() }, "Close");
    const keys = HELP.map(([key, text]) => el("tr", {}, el("th", { scope: "row" }, key.split(" ").map((one) => el("kbd", {}, one))), el("td", {}, text)));
    const made = el("dialog", { class: "help", "aria-labelledby": "help-title" }, el("h2", { id: "help-title" }, "Keys"), el("table", {}, el("tbody", {}, keys)), el("p", { class: "muted" }, POINTER), close);
    made.addEventListener("click", (event) => event.target === made && made.close());
    return made;
  }

  /** Go to the next (1) or previous (-1) detection that is shown. */
  function stepper(data, view, player) {
    return (way) => {
      const found = view.detections.sort((a, b) => a.start - b.start || a.rank - b.rank);
      if (!found.length) { say("No detection is shown"); return; }
      const at = found.indexOf(view.chosen), t = player.now();
      let i = at + way;
      if (at < 0) i = way > 0 ? found.findIndex((one) => one.start > t + 1e-3) : found.length - 1 - [...found].reverse().findIndex((one) => one.start < t - 1e-3);
      if (at < 0 && (i < 0 || i >= found.length)) i = way > 0 ? 0 : found.length - 1;
      const one = found[(i + found.length) % found.length];
      view.choose(one);
      view.look(one.label);
      player.seek(one.start);
      say(`${data.labels[one.label]}, ${clock(one.start)} to ${clock(one.end)}, score ${score(one.score)}`);
    };
  }

  /** Whether an element needs a key for itself. */
  function taken(target, key) {
    if (target.matches("input[type=search], input[type=text], select, textarea")) return true;
    if (target.matches("input[type=range]")) return key.startsWith("Arrow") || key === "Home" || key === "End";
    if (target.matches("button, summary, a, input[type=checkbox]")) return key === " ";
    return target.matches(".scroll") && ["Home", "End"].includes(key);
  }

  /** Listen to keys; returns {help, step, end}. */
  function keys(data, view, player) {
    const help = dialog(), step = stepper(data, view, player);
    document.body.append(help);
    const by = (seconds) => player.seek(player.now() + seconds);
    const zoom = (factor) => view.zoom(factor, player.now() >= view.from && player.now() <= view.to ? player.now() : (view.from + view.to) / 2);
    const actions = {
      " ": () => player.toggle(), n: () => step(1), p: () => step(-1), "+": () => zoom(1 / 1.6), "=": () => zoom(1 / 1.6), "-": () => zoom(1.6), 0: () => view.fit(),
      ArrowLeft: (e) => by(e.shiftKey ? -5 : -1), ArrowRight: (e) => by(e.shiftKey ? 5 : 1), ",": () => by(-0.04), ".": () => by(0.04),
      Home: () => player.seek(0), End: () => player.seek(data.duration), t: () => window.tal.toggleTheme(), "?": () => help.showModal(),
    };
    function pressed(event) {
      const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey || help.open || taken(event.target, event.key)) return;
      event.preventDefault();
      action(event);
    }
    document.addEventListener("keydown", pressed);
    return { help: () => help.showModal(), step, end() { document.removeEventListener("keydown", pressed); help.remove(); } };
  }
  Object.assign(window.tal, { keys });
})();
