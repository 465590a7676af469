/* Parts that the overview is made of: figures as text, cards, tables, bars, histograms. All texts are text nodes. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;

  own.percent = (x, digits = 1) => (x === null || x === undefined ? "–" : (100 * x).toFixed(digits));
  own.count = (n) => (n === null || n === undefined ? "–" : n.toLocaleString("en-US"));
  own.counted = (n, noun) => `${own.count(n)} ${noun}${n === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;

  /** A figure to three digits: 0.00012 is 1.2e-4, 31.485 is 31.5. */
  own.short = (x) => {
    if (x === null || x === undefined) return "–";
    const size = Math.abs(x);
    if (size >= 1e5 || (size > 0 && size < 1e-3)) return x.toExponential(1).replace("e+", "e");
    return String(Number(x.toPrecision(3)));
  };

  /** A length of time in words: 12.7 h, 8 min, 31.5 s. */
  own.span = (seconds) => {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds >= 5400) return `${(seconds / 3600).toFixed(1)} h`;
    return seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${own.short(seconds)} s`;
  };

  /** A section with a heading; returns the section, to which its content is appended. */
  own.card = (id, title, about, ...children) => {
    const heading = el("h2", { id: `ds-${id}` }, title);
    const head = el("div", { class: "ds-head" }, heading, ...(about ? [el("p", { class: "muted" }, about)] : []));
    return el("section", { class: "card ds-card", "aria-labelledby": `ds-${id}` }, head, ...children);
  };

  own.button = (text, act, more = {}) => {
    const made = el("button", { type: "button", class: "button", ...more }, text);
    made.addEventListener("click", act);
    return made;
  };

  /** A labelled choice; `options` are [value, text]. */
  own.choice = (label, options, value, act) => {
    const select = el("select", { "aria-label": label });
    for (const [key, text] of options) {
      const option = el("option", { value: String(key) }, text);
      option.selected = String(key) === String(value);
      select.append(option);
    }
    select.addEventListener("change", () => act(select.value));
    return el("label", { class: "field ds-choice" }, el("span", { "aria-hidden": "true" }, label), select);
  };

  /** A bar of a share in [0, 1] with a text beside it; the text carries the value. */
  own.bar = (share, text, colour = "var(--accent)") => {
    const fill = el("span", { class: "ds-fill" });
    fill.style.width = `${100 * Math.min(Math.max(share || 0, 0), 1)}%`;
    fill.style.background = colour;
    const track = el("span", { class: "ds-track", "aria-hidden": "true" }, fill);
    return el("span", { class: "ds-bar" }, track, el("span", { class: "ds-value number" }, text));
  };

  /** A plain table; cells are texts or nodes, the first column names the row. */
  own.table = (caption, head, rows, more = "") => {
    const line = (cells) => {
      const [name, ...rest] = cells;
      return el("tr", {}, el("th", { scope: "row" }, name), ...rest.map((cell) => el("td", { class: "number" }, cell)));
    };
    const titles = head.map((text, i) => el("th", { scope: "col", ...(i ? { class: "number" } : {}) }, text));
    const table = el(
      "table",
      { class: `ds-table ${more}` },
      el("caption", { class: "visually-hidden" }, caption),
      el("thead", {}, el("tr", {}, ...titles)),
      el("tbody", {}, ...rows.map(line)),
    );
    return el("div", { class: "ds-scroll", tabindex: "0", role: "group", "aria-label": caption }, table);
  };

  /** What is folded away; `fill` makes its content whenever it is opened. */
  own.folded = (kind, summary, fill) => {
    const place = el("div");
    const details = el("details", { class: kind }, el("summary", {}, ...summary), place);
    details.addEventListener("toggle", () => place.replaceChildren(...(details.open ? [fill()] : [])));
    return details;
  };

  /** A table behind a chart, shown on demand; `rows` may be a function. */
  own.behind = (caption, head, rows) =>
    own.folded("ds-behind", ["Show as a table"], () => own.table(caption, head, typeof rows === "function" ? rows() : rows));

  own.legend = (entries) =>
    el(
      "ul",
      { class: "ds-legend" },
      ...entries.map(([text, colour, more]) => {
        const swatch = el("span", { class: `ds-swatch ${more || ""}`, "aria-hidden": "true" });
        swatch.style.background = colour;
        return el("li", {}, swatch, text);
      }),
    );

  /** Ends of bins as a text: 0.5 to 1.2. */
  const range = (edges, i, unit) => `${own.short(edges[i])} to ${own.short(edges[i + 1])}${unit}`;

  /**
   * A histogram; `layers` are {name, counts, colour, line}: bars behind one another, or outlines over them.
   * Layers with `own` scale to their own highest bin, so that shapes can be compared.
   */
  own.histogram = ({ label, edges, log, unit = "", layers, apart = false }) => {
    const top = Math.max(1, ...layers.flatMap((layer) => layer.counts));
    const highest = layers.map((layer) => (apart ? Math.max(1, ...layer.counts) : top));
    const bins = layers[0].counts.map((_, i) => {
      const said = layers.map((layer) => `${own.count(layer.counts[i])} ${layer.name}`).join(", ");
      const bin = el("div", { class: "ds-bin", title: `${range(edges, i, unit)}: ${said}` });
      layers.forEach((layer, k) => {
        const bar = el("span", { class: layer.line ? "ds-outline" : "ds-column" });
        const share = layer.counts[i] / highest[k];
        bar.style.height = layer.counts[i] ? `max(2px, ${100 * share}%)` : "0";
        bar.style[layer.line ? "color" : "background"] = layer.colour;
        bin.append(bar);
      });
      return bin;
    });
    const at = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * (edges.length - 1)));
    const ticks = at.map((i) => el("span", {}, own.short(edges[i]) + unit));
    const rows = bins.map((_, i) => [range(edges, i, unit), ...layers.map((layer) => own.count(layer.counts[i]))]);
    const plot = el("div", { class: "ds-bins", role: "img", "aria-label": `${label}${log ? ", log scale" : ""}` }, ...bins);
    return el(
      "div",
      { class: "ds-histogram" },
      own.legend(layers.map((layer) => [layer.name, layer.colour, layer.line ? "line" : ""])),
      plot,
      el("div", { class: "ds-ticks muted", "aria-hidden": "true" }, ...ticks),
      own.behind(label, ["from, to", ...layers.map((layer) => layer.name)], rows),
    );
  };
})();
