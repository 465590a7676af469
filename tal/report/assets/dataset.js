/* The overview of a data set: `talOverview(element, data, overview)` fills `element` and returns what leaves it. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;

  // What a reader chose; it outlives a look at a video.
  const kept = { classes: null, videos: { text: "", kind: "", label: "", table: { sort: "name", down: false } }, scroll: 0 };

  const tile = (value, unit, text, more = "") =>
    el("li", { class: `card ds-tile ${more}` }, el("strong", {}, value, ...(unit ? [el("small", {}, unit)] : [])), el("span", { class: "muted" }, text));

  function scoreTiles(found) {
    const at = found.tiou[found.shown];
    const tiles = [tile(own.percent(found.mAP[found.shown]), "%", `mAP at tIoU ${at}`, "main")];
    found.columns.slice(found.tiou.length).forEach((name, i) => {
      const value = found.mAP[found.tiou.length + i];
      tiles.push(tile(own.percent(value), "%", name === "average" ? "mean mAP" : `mean mAP, tIoU ${name}`));
    });
    return tiles.slice(0, 3);
  }

  function tiles(data, overview) {
    const { summary } = overview;
    const seconds = (data.videos || []).reduce((sum, video) => sum + (video.duration_s || 0), 0);
    const shown = overview.evaluation ? scoreTiles(overview.evaluation) : [];
    const add = (n, text) => n !== null && n !== undefined && shown.push(tile(own.count(n), "", text));
    add(summary.n_videos, summary.n_videos === 1 ? "video" : "videos");
    const length = summary.duration_s || (overview.evaluation ? null : seconds);
    if (length) shown.push(tile(...own.span(length).split(" "), "of video"));
    add(summary.n_classes, summary.n_classes === 1 ? "class" : "classes");
    add(summary.n_instances, "true instances");
    add(summary.n_detections, summary.n_detections === 1 ? "detection" : "detections");
    if (summary.n_empty) add(summary.n_empty, "videos without a detection");
    return el("ul", { class: "ds-tiles", "aria-label": "In short" }, ...shown);
  }

  function histograms(overview) {
    const parts = [];
    const { scores, lengths } = overview;
    if (scores) {
      const right = scores.right && { name: "true positives", counts: scores.right, colour: "var(--good)" };
      const layers = [{ name: "detections", counts: scores.all, colour: "var(--detection)" }, ...(right ? [right] : [])];
      const tiou = right ? ` True positives at tIoU ${overview.evaluation.tiou[overview.evaluation.shown]}.` : "";
      parts.push(el("div", {}, el("h3", {}, "Scores"), el("p", { class: "muted" }, `How sure detections are.${tiou}`),
        own.histogram({ label: "Detections by score", edges: scores.edges, log: scores.log, layers })));
    }
    if (lengths) {
      const layers = [{ name: "detections", counts: lengths.detections, colour: "var(--detection)" }];
      if (lengths.instances) layers.push({ name: "true instances", counts: lengths.instances, colour: "var(--text)", line: true });
      const apart = layers.length > 1;
      const text = `How long they are${apart ? "; each scaled to its own highest bar" : ""}.`;
      parts.push(el("div", {}, el("h3", {}, "Lengths"), el("p", { class: "muted" }, text),
        own.histogram({ label: "Detections by length", edges: lengths.edges, log: lengths.log, unit: " s", layers, apart })));
    }
    return parts.length ? own.card("spread", "Scores and lengths", null, el("div", { class: "ds-two" }, ...parts)) : null;
  }

  function provenance(overview) {
    const parts = [["How the detections were made", overview.provenance], ["Settings of the run", overview.settings],
      ["What it was trained on", overview.environment]].filter(([, rows]) => rows && rows.length);
    if (!parts.length) return null;
    const folded = parts.map(([title, rows]) => {
      const summary = [title, el("span", { class: "muted" }, ` ${own.counted(rows.length, "value")}`)];
      return own.folded("ds-folded", summary, () => own.table(title, ["setting", "value"], rows, "ds-settings"));
    });
    return own.card("provenance", "Provenance and settings", null, ...folded);
  }

  function notesOf(notes) {
    if (!notes || !notes.length) return [];
    const list = el("ul", {}, ...notes.map((note) => el("li", {}, note)));
    return [el("aside", { class: "ds-callout", "aria-label": "What to know about the figures" }, el("strong", {}, "Good to know"), list)];
  }

  /** Buttons that lead to the parts of the page; addresses are taken by the routes. */
  function contents(cards) {
    const go = (card) => () => {
      const heading = card.querySelector("h2");
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      card.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    };
    const buttons = cards.map((card) => own.button(card.querySelector("h2").textContent, go(card), { class: "chip ds-go" }));
    return el("nav", { class: "ds-contents", "aria-label": "On this page" }, ...buttons);
  }

  /** The cards in their order, and what is to be ended with them. */
  function cardsOf(data, overview) {
    const ends = [];
    const with_ = ({ card, leave }) => (ends.push(leave), card);
    const videos = own.videosCard(data, overview, kept.videos);
    if (!overview) return { cards: [videos], ends };
    const shown = overview.evaluation ? overview.evaluation.shown : 0;
    const first = overview.evaluation ? "ap" : overview.summary.n_instances === null ? "n_detections" : "n_instances";
    kept.classes = kept.classes || { shown, picked: "", table: { sort: first, down: true } };
    const classes = overview.classes.length ? with_(own.classesCard(overview, kept.classes)) : null;
    const cards = overview.evaluation
      ? [with_(own.scoresCard(overview.evaluation)), classes, videos]
      : [videos, classes];
    if (overview.diagnosis) cards.push(own.diagnosisCard(overview.diagnosis));
    cards.push(histograms(overview));
    if (overview.training) cards.push(with_(own.trainingCard(overview.training)));
    cards.push(provenance(overview));
    return { cards: cards.filter((card) => card !== null), ends };
  }

  window.talOverview = (element, data, overview) => {
    const { cards, ends } = cardsOf(data, overview);
    const head = overview ? [tiles(data, overview), ...notesOf(overview.notes)] : [];
    const title = el("div", {}, el("h1", { class: "ds-title" }, data.title || "Overview"));
    if (overview?.evaluation) title.append(el("p", { class: "muted ds-about" }, `Evaluated by the ${overview.evaluation.name}`));
    element.classList.add("ds");
    element.replaceChildren(title, ...head, ...(cards.length > 2 ? [contents(cards)] : []), ...cards);
    const mark = () => (kept.scroll = window.scrollY);
    element.addEventListener("click", mark, true);
    if (kept.scroll) requestAnimationFrame(() => window.scrollTo(0, kept.scroll));
    return () => {
      element.removeEventListener("click", mark, true);
      ends.forEach((end) => end());
    };
  };
})();
