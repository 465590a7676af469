/* Curves: a small layer over uPlot that follows the theme, the width of its place, and says the values under the pointer. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;

  const axis = (label, format, size) => ({
    label,
    size,
    labelSize: 18,
    labelFont: "12px system-ui, sans-serif",
    font: "12px system-ui, sans-serif",
    stroke: window.tal.css("--muted"),
    grid: { stroke: window.tal.css("--line"), width: 1 },
    ticks: { stroke: window.tal.css("--line"), width: 1, size: 4 },
    values: (_, ticks) => ticks.map(format),
  });

  const colourOf = (colour) => (colour.startsWith("--") ? window.tal.css(colour) : colour);

  /** uPlot's options for a chart as `own.lines` takes it. */
  const optionsOf = (chart, width, told) => ({
    width,
    height: chart.height || 260,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, ...(chart.xRange ? { range: chart.xRange } : {}) },
      y: { ...(chart.yRange ? { range: chart.yRange } : {}), ...(chart.log ? { distr: 3 } : {}) },
    },
    axes: [
      { ...axis(chart.xLabel, chart.xFormat || own.short, 30), space: 44, ...(chart.xSplits ? { splits: () => chart.xSplits } : {}) },
      { ...axis(chart.yLabel, chart.yFormat || own.short, 50), space: 32 },
    ],
    series: [
      {},
      ...chart.series.map((one) => ({
        label: one.name,
        stroke: colourOf(one.colour),
        width: one.width || 2,
        alpha: one.alpha || 1,
        ...(one.dash ? { dash: one.dash } : {}),
        ...(one.steps ? { paths: window.uPlot.paths.stepped({ align: 1 }) } : {}),
        points: one.points ? { show: true, size: 7, fill: colourOf(one.colour) } : { show: false },
      })),
    ],
    hooks: { setCursor: [(plot) => told(plot.cursor.idx)] },
  });

  /**
   * Draw curves and return {node, redraw, destroy}.
   *
   * `chart()` gives {label, x, series: [{name, values, colour, width, alpha, dash, steps, points}], xLabel, yLabel,
   * xFormat, yFormat, xRange, xSplits, yRange, log, height, tell(i)}; it is asked again when the theme changes or on `redraw`.
   */
  own.lines = (chart) => {
    const place = el("div", { class: "ds-plot", role: "img" });
    const said = el("p", { class: "ds-told muted number" });
    let plot = null;
    let at = 0;

    function tell(made, i) {
      said.textContent = made.tell(i === null || i === undefined ? null : i);
    }

    function draw() {
      const width = Math.floor(place.clientWidth);
      if (!width) return;
      const made = chart();
      plot?.destroy();
      at = width;
      place.setAttribute("aria-label", made.label);
      plot = new window.uPlot(
        optionsOf(made, width, (i) => tell(made, i)),
        [made.x, ...made.series.map((one) => one.values)],
        place,
      );
      tell(made, null);
    }

    const watch = new ResizeObserver(() => {
      const width = Math.floor(place.clientWidth);
      if (width === at) return;
      if (plot) plot.setSize({ width, height: plot.height });
      else draw();
      at = width;
    });
    watch.observe(place);
    const untheme = window.tal.onTheme(draw);
    const destroy = () => (watch.disconnect(), untheme && untheme(), plot?.destroy());
    return { node: el("div", { class: "ds-lines" }, place, said), redraw: draw, destroy };
  };
})();
