// What time it is: the video's, or a plain clock where there is no video that can be played.
"use strict";
(() => {
  const { el, emitter, clamp } = window.tal;

  /** A clock that runs by itself; the same contract as `playing`. */
  function plain(duration) {
    let at = 0, since = null, rate = 1;
    const now = () => clamp(since === null ? at : at + ((performance.now() - since) / 1000) * rate, 0, duration);
    return {
      now,
      get paused() { return since === null; },
      seek(t) { at = t; if (since !== null) since = performance.now(); },
      play() { if (now() >= duration) at = 0; since = performance.now(); },
      pause() { at = now(); since = null; },
      rate(x) { at = now(); rate = x; if (since !== null) since = performance.now(); },
    };
  }

  function playing(video) {
    return {
      now: () => video.currentTime,
      get paused() { return video.paused; },
      seek: (t) => (video.currentTime = t),
      play: () => video.play().catch(() => {}),  // where playing is refused, the error event tells
      pause: () => video.pause(),
      rate: (x) => (video.playbackRate = x),
    };
  }

  /** The player of a page: emits "time" and "state"; `failed` is called where the video cannot be played. */
  function player(data, failed) {
    const bus = emitter(), media = data.media;
    let source = plain(data.duration), frame = 0, video = null, address = null, rate = 1;

    const state = () => { bus.emit("state"); bus.emit("time", source.now()); run(); };
    const run = () => {
      cancelAnimationFrame(frame);
      if (source.paused) return;
      bus.emit("time", source.now());
      if (source.now() >= data.duration && !video) { source.pause(); state(); return; }
      frame = requestAnimationFrame(run);
    };
    function give_up(code) {
      if (!video) return;
      const t = source.now();
      source = plain(data.duration);
      source.seek(t);
      source.rate(rate);
      video.remove();
      video = null;
      failed(code);
      state();
    }
    if (media) {
      address = media.embedded ? window.tal.embedded(data.i, media.type) : media.href;
      video = el("video", { src: address, preload: "metadata", playsinline: true, tabindex: "-1", "aria-label": `Video ${data.name}` });
      source = playing(video);
      for (const kind of ["play", "pause", "seeking", "seeked", "ended", "timeupdate"]) video.addEventListener(kind, state);
      video.addEventListener("error", () => give_up(video && video.error ? video.error.code : 0));
      // A file whose sound alone can be played has no size.
      video.addEventListener("loadedmetadata", () => video && !video.videoWidth && give_up(4));
      video.addEventListener("click", () => self.toggle());
    }
    const self = {
      on: bus.on,
      get video() { return video; },
      get paused() { return source.paused; },
      now: () => source.now(),
      seek(t) { source.seek(clamp(t, 0, data.duration)); bus.emit("time", source.now()); bus.emit("seek", source.now()); run(); },
      play() { source.play(); state(); },
      pause() { source.pause(); state(); },
      toggle() { if (source.paused) self.play(); else self.pause(); },
      rate(x) { rate = x; source.rate(x); },
      end() {
        cancelAnimationFrame(frame);
        if (video) { video.pause(); video.removeAttribute("src"); video = null; }
        if (media && media.embedded) URL.revokeObjectURL(address);
      },
    };
    return self;
  }
  Object.assign(window.tal, { player });
})();
