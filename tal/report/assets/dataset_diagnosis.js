/* Why detections fail: kinds by rank, what mending would gain, which instances are hard. Bars are HTML, with texts. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;

  // Okabe and Ito: told apart with any colour vision; dark letters stand on all but one of them.
  const COLOURS = {
    "true positive": "#009E73", "double detection": "#56B4E9", "wrong label": "#E69F00",
    localization: "#0072B2", confusion: "#CC79A7", background: "#999999",
    "all false positives": "#D55E00", "missed instances": "#F0E442",
  };
  const ROOM = 0.07; // a narrower part has no room for its text
  const MEANINGS = {
    "double detection": "the instance is already taken by a better detection",
    "wrong label": "on an instance of another class",
    localization: "right class, too little overlap",
    confusion: "another class, and too little overlap",
    background: "where no instance is",
  };

  const stack = (split, kinds) => {
    const parts = kinds.map((kind, k) => {
      const share = split.shares[k];
      const part = el("span", { title: `${kind}: ${own.percent(share)} %` }, share >= ROOM ? own.percent(share, 0) : "");
      part.style.flexGrow = share;
      part.style.background = COLOURS[kind];
      if (kind === "localization") part.style.color = "#fff";
      return part;
    });
    const said = kinds.map((kind, k) => `${kind} ${own.percent(split.shares[k])} %`).join(", ");
    const bar = el("div", { class: "ds-stack", role: "img", "aria-label": `${split.name}: ${said}` }, ...parts);
    return el("div", { class: `ds-stacked${split.name === "all" ? " all" : ""}` }, el("span", { class: "number" }, split.name), bar);
  };

  const kindsOf = (found) => {
    const splits = found.splits.filter((split) => split.n);
    const rows = splits.map((split) => [split.name, own.count(split.n), ...split.shares.map((share) => own.percent(share))]);
    const head = ["rank", "detections", ...found.kinds.map((kind) => `${kind}, %`)];
    return el(
      "div",
      {},
      el("h3", {}, "Detections by kind"),
      el("p", { class: "muted" }, "By rank: 1G are the best G detections of every class, G its number of instances; in %"),
      own.legend(found.kinds.map((kind) => [kind, COLOURS[kind]])),
      ...splits.map((split) => stack(split, found.kinds)),
      own.behind("Detections by kind and rank", head, rows),
    );
  };

  const gainsOf = (found) => {
    const top = Math.max(0.001, ...found.gains.map((gain) => Math.max(gain.map, gain.map_n)));
    const points = (x) => `${x < 0 ? "−" : "+"}${own.percent(Math.abs(x))}`;
    const line = (gain) =>
      el(
        "div",
        { class: "ds-gain", title: MEANINGS[gain.fix] || null },
        el("span", {}, gain.fix),
        own.bar(gain.map / top, points(gain.map), COLOURS[gain.fix]),
      );
    const rows = found.gains.map((gain) => [gain.fix, points(gain.map), points(gain.map_n)]);
    return el(
      "div",
      {},
      el("h3", {}, "What mending would gain"),
      el("p", { class: "muted" }, `Points of mAP without the errors of a kind, on top of ${own.percent(found.base.map)} %`),
      ...found.gains.map(line),
      own.behind("Gain in mAP by kind of error, percentage points", ["without", "mAP", "normalised mAP"], rows),
    );
  };

  const MISSED = "#D55E00";
  const cells = (n, one) => [
    el("td", { class: "number ds-minor" }, own.count(n)),
    el("td", {}, own.bar(one.map_n, own.percent(one.map_n))),
    el("td", {}, own.bar(one.missed, own.percent(one.missed), MISSED)),
  ];

  const groupOf = (one) => {
    const title = el("tr", { class: "ds-group" }, el("th", { scope: "rowgroup", colspan: "4" }, one.meaning));
    const lines = one.buckets
      .filter((bucket) => bucket.n)
      .map((bucket) => {
        const name = el("th", { scope: "row" }, el("span", { class: "chip ds-size" }, bucket.name), bucket.text);
        return el("tr", {}, name, ...cells(bucket.n, bucket));
      });
    return el("tbody", {}, title, ...lines);
  };

  const bucketsOf = (found) => {
    const titles = ["", "Instances", "AP, %", "Missed, %"];
    const head = titles.map((text, i) => el("th", { scope: "col", class: `number${i === 1 ? " ds-minor" : ""}` }, text));
    const all = el("tr", { class: "ds-all" }, el("th", { scope: "row" }, "all instances"), ...cells(found.n_instances, found));
    const caption = "AP and missed instances by what instances are like";
    const table = el(
      "table",
      { class: "ds-table ds-buckets" },
      el("caption", { class: "visually-hidden" }, caption),
      el("thead", {}, el("tr", {}, ...head)),
      ...found.characteristics.map(groupOf),
      el("tbody", {}, all),
    );
    return el(
      "div",
      { class: "ds-hard" },
      el("h3", {}, "Which instances are hard"),
      el("p", { class: "muted" }, "AP is normalised, so that rare and frequent kinds of instances can be compared"),
      el("div", { class: "ds-scroll", tabindex: "0", role: "group", "aria-label": caption }, table),
    );
  };

  own.diagnosisCard = (found) => {
    const notes = found.notes.map((note) => el("li", {}, note));
    return own.card(
      "diagnosis",
      "Why detections fail",
      found.title,
      el("div", { class: "ds-two" }, kindsOf(found), gainsOf(found)),
      bucketsOf(found),
      ...(notes.length ? [el("ul", { class: "ds-notes muted" }, ...notes)] : []),
    );
  };
})();
