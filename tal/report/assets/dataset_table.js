/* A table that is sorted by a click on a column's title, filtered, and shown a page at a time. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  /** Order of two values; null is always last. */
  const compare = (a, b, direction) => {
    if (a === null || a === undefined || b === null || b === undefined) {
      return Number(a === null || a === undefined) - Number(b === null || b === undefined);
    }
    return direction * (typeof a === "string" ? collator.compare(a, b) : a - b);
  };

  /**
   * Make a table of `rows`.
   *
   * `columns` are {key, title, value(row), cell(row), text, minor, hint}: `value` sorts, `cell` gives a text or a node,
   * `text` columns sort upwards first, `minor` ones are left out on narrow screens. `state` is {sort, down, page,
   * shown} and is kept by the caller, so that a reader who comes back finds the table as it was left.
   * Returns {node, update}; `update(keep)` filters by keep(row) and goes back to the first page.
   */
  own.sortable = ({ caption, columns, rows, state, size = 25, noun = "row" }) => {
    const body = el("tbody");
    const titles = columns.map((column) => {
      const name = el("button", { type: "button", class: "ds-sort", ...(column.hint ? { title: column.hint } : {}) });
      name.append(column.title);
      name.addEventListener("click", () => sortBy(column));
      return el("th", { scope: "col", class: classOf(column) }, name);
    });
    const where = el("span", { class: "muted number", role: "status" });
    const back = own.button("Previous", () => turn(-1));
    const next = own.button("Next", () => turn(1));
    const all = own.button("Show all", () => ((state.shown = Infinity), (state.page = 0), draw()));
    let filtered = rows;

    function classOf(column) {
      return [column.text ? "" : "number", column.minor ? "ds-minor" : ""].join(" ").trim();
    }

    function sortBy(column) {
      state.down = state.sort === column.key ? !state.down : !column.text;
      state.sort = column.key;
      state.page = 0;
      draw();
    }

    function turn(step) {
      state.page += step;
      draw();
    }

    function line(row) {
      return el(
        "tr",
        {},
        ...columns.map((column, i) => {
          const cell = column.cell ? column.cell(row) : own.count(column.value(row));
          return el(i ? "td" : "th", { class: classOf(column), ...(i ? {} : { scope: "row" }) }, cell);
        }),
      );
    }

    function draw() {
      const column = columns.find((one) => one.key === state.sort) || columns[0];
      const direction = state.down ? -1 : 1;
      const keyed = filtered.map((row, i) => [column.value(row), i, row]);
      keyed.sort((a, b) => compare(a[0], b[0], direction) || a[1] - b[1]);
      const n = Math.min(state.shown || size, Math.max(filtered.length, 1));
      const last = Math.max(0, Math.ceil(filtered.length / n) - 1);
      state.page = Math.min(Math.max(state.page || 0, 0), last);
      const first = state.page * n;
      body.replaceChildren(...keyed.slice(first, first + n).map((entry) => line(entry[2])));
      columns.forEach((one, i) => {
        const sorted = one === column;
        titles[i].setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
      });
      const end = Math.min(first + n, filtered.length);
      where.textContent = filtered.length ? `${own.count(first + 1)}–${own.count(end)} of ${own.counted(filtered.length, noun)}` : `no ${noun} fits`;
      back.disabled = state.page === 0;
      next.disabled = state.page === last;
      back.hidden = next.hidden = last === 0;
      all.hidden = last === 0 || filtered.length > 500;
    }

    const table = el(
      "table",
      { class: "ds-table ds-sortable" },
      el("caption", { class: "visually-hidden" }, caption),
      el("thead", {}, el("tr", {}, ...titles)),
      body,
    );
    const scroll = el("div", { class: "ds-scroll", tabindex: "0", role: "group", "aria-label": caption }, table);
    const update = (keep, first = true) => {
      filtered = keep ? rows.filter(keep) : rows;
      if (first) state.page = 0;
      draw();
    };
    draw();
    return { node: el("div", {}, scroll, el("div", { class: "ds-pages" }, where, back, next, all)), update, draw };
  };
})();
