/* The list of videos: sorted, filtered, a page at a time; each name leads to the video's page. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;

  /** One row per video: what the page knows of it, and what the comparison says. */
  own.videoRows = (data, overview) => {
    const pages = new Map((data.videos || []).map((video) => [video.name, video]));
    const table = overview && overview.videos;
    if (!table) return [...pages.values()].map((page) => rowOf(page.name, page, {}));
    const rows = table.name.map((name, i) => {
      const column = (key) => table[key][i];
      const note = column("note") < 0 ? "" : table.notes[column("note")];
      const figures = { n_found: column("n_found"), duration_s: column("duration_s"), note };
      return rowOf(name, pages.get(name), { n_detections: column("n_detections"), best: column("best"), n_truth: column("n_truth"), ...figures });
    });
    const named = new Set(table.name);
    return [...rows, ...[...pages.values()].filter((page) => !named.has(page.name)).map((page) => rowOf(page.name, page, {}))];
  };

  function rowOf(name, page, figures) {
    const { n_detections = page?.n_detections, best = page?.best, n_truth = page?.n_truth, n_found = null } = figures;
    return {
      name, n_detections, best, n_truth: n_truth ?? null, n_found,
      recall: n_truth ? (n_found === null ? null : n_found / n_truth) : null,
      duration_s: page?.duration_s || figures.duration_s || null,
      note: figures.note || page?.reason || "",
      labels: page?.labels || [],
      href: page ? page.href || window.tal.href(name) : null,
      folded: name.toLowerCase(),
    };
  }

  const nameOf = (row) => {
    const name = row.href ? el("a", { href: row.href }, row.name) : el("span", {}, row.name);
    return el("div", {}, name, ...(row.note ? [el("span", { class: "ds-note muted" }, row.note)] : []));
  };

  const columnsOf = (rows, tiou) => {
    const some = (key) => rows.some((row) => row[key] !== null && row[key] !== "");
    const columns = [
      { key: "name", title: "Video", text: true, value: (row) => row.name,
        cell: nameOf },
      { key: "duration_s", title: "Duration", minor: true, value: (row) => row.duration_s,
        cell: (row) => (row.duration_s ? window.tal.clock(row.duration_s, 0) : "–") },
      { key: "n_detections", title: "Detections", value: (row) => row.n_detections },
      { key: "best", title: "Best score", minor: true, value: (row) => row.best, cell: (row) => own.short(row.best) },
      { key: "n_truth", title: "Instances", minor: true, value: (row) => row.n_truth },
      { key: "recall", title: "Recall, %", hint: `Instances found at tIoU ${tiou}`, value: (row) => row.recall,
        cell: (row) => (row.recall === null ? "–" : own.bar(row.recall, own.percent(row.recall, 0), "var(--good)")) },
    ];
    return columns.filter((column) => column.key === "name" || some(column.key));
  };

  const SHOWN = [
    ["", "all videos", () => true],
    ["found", "with detections", (row) => row.n_detections > 0],
    ["empty", "without detections", (row) => !row.n_detections],
    ["missed", "with missed instances", (row) => row.recall !== null && row.recall < 1],
    ["note", "with a remark", (row) => row.note !== ""],
  ];

  const filterOf = (state) => {
    const kind = SHOWN.find(([key]) => key === state.kind)[2];
    const text = state.text.trim().toLowerCase();
    return (row) => kind(row) && (!text || row.folded.includes(text)) && (!state.label || row.labels.includes(state.label));
  };

  /** The card; `state` keeps filters, sorting and page while a reader looks at videos. */
  own.videosCard = (data, overview, state) => {
    const rows = own.videoRows(data, overview);
    const shown = overview?.evaluation ? overview.evaluation.tiou[overview.evaluation.shown] : null;
    const about = shown === null ? null : `Recall: instances that a detection found at tIoU ${shown}`;
    const columns = columnsOf(rows, shown);
    const table = own.sortable({ caption: "Videos", columns, rows, state: state.table, size: 25, noun: "video" });
    const change = (key) => (value) => ((state[key] = value), table.update(filterOf(state)));
    const search = el("input", { type: "search", placeholder: "Find a video", "aria-label": "Find a video by its name", value: state.text });
    search.addEventListener("input", () => change("text")(search.value));
    const kinds = SHOWN.filter(([key, , fits]) => !key || (rows.some(fits) && !rows.every(fits)) || key === state.kind);
    const labels = [...new Set(rows.flatMap((row) => row.labels))].sort();
    const tools = [search];
    if (kinds.length > 1) tools.push(own.choice("Show", kinds.map(([key, text]) => [key, text]), state.kind, change("kind")));
    if (labels.length > 1) {
      tools.push(own.choice("Class", [["", "any class"], ...labels.map((label) => [label, label])], state.label, change("label")));
    }
    if (state.text || state.kind || state.label) table.update(filterOf(state), false);
    return own.card("videos", "Videos", about, el("div", { class: "ds-tools" }, ...tools), table.node);
  };
})();
