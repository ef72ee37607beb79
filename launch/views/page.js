"use strict";
// Reads the data of a view, fills its drawings, and steps through it. All words of a run are set as text, never as HTML.
(async () => {
  const element = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(element(id).textContent);
  const make = (tag, text, parent, kind) => {
    const made = document.createElement(tag);
    if (text !== null) made.textContent = text;
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  };
  const view = read("view-data");
  const drawings = read("view-drawings");
  const steps = view.steps;

  const inflate = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const bytesOf = async (packed) => {
    const bytes = await inflate(packed.data);
    if (packed.delta) {
      for (let row = 0; row < bytes.length; row += steps) {
        for (let at = row + 1; at < row + steps; at++) bytes[at] += bytes[at - 1];
      }
    }
    return bytes;
  };
  // numbers over time: number(row, step)
  const unpack = async (packed) => {
    const bytes = await bytesOf(packed);
    const high = packed.high ? await bytesOf(packed.high) : null;
    const at = (row, step) => {
      const place = row * steps + step;
      return packed.low + packed.unit * bytes[place] + (high ? 256 * high[place] : 0);
    };
    return {at, bytes, low: packed.low, unit: packed.unit, shape: packed.shape};
  };
  const asImage = (values, shape) => {
    const {ndarray} = Bokeh.require("core/util/ndarray");
    return ndarray(values.buffer, {shape, dtype: "float32", order: "C"});
  };
  const shown = (value) => Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));

  const tracks = await Promise.all(view.tracks.map((track) => unpack(track.packed)));
  const words = view.words && await unpack(view.words.packed);
  const following = view.links && await unpack(view.links.following);
  const strength = view.links && await unpack(view.links.strength);

  // Drawings
  const documents = [];
  const models = (name) => documents.flatMap((doc) => [...doc._all_models.values()].filter((one) => one.name === name));
  const draw = async (target, item) => {
    const manager = await Bokeh.embed.embed_item(item, element(target));
    documents.push(manager.roots[0].model.document);
    return manager.roots[0];
  };
  if (view.words) element("words-part").hidden = false;
  if (view.links) element("links-part").hidden = false;
  const views = {};
  for (const [target, item] of Object.entries(drawings)) views[target] = await draw(target, item);
  const source = (name) => models(name).find((one) => one.type === "ColumnDataSource");
  const range = [...Array(steps).keys()];
  tracks.forEach((track, number) => {
    const rows = view.tracks[number].rows.length;
    if (view.tracks[number].form === "bars") {
      source(`track ${number}`).data = {step: range, value: range.map((step) => track.at(0, step))};
      return;
    }
    const values = Float32Array.from(track.bytes, (byte) => track.low + track.unit * byte);
    source(`track ${number}`).data = {image: [asImage(values, [rows, steps])]};
  });

  // What is beside the drawings
  document.title = view.title;
  element("title").textContent = view.title;
  element("subtitle").textContent = view.subtitle;
  for (const note of view.notes) make("li", note, element("notes"));
  const films = view.films.map((film) => {
    const figure = make("figure", null, element("films"));
    const image = make("img", null, figure);
    image.alt = film.label;
    make("figcaption", film.label, figure);
    return image;
  });
  const texts = view.texts.map((text) => {
    make("dt", text.label, element("texts"));
    return make("dd", "", element("texts"), text.drawn ? "drawn" : "");
  });
  const cells = view.tracks.map((track) => {
    const line = make("tr", null, element("values"));
    make("td", track.name, line);
    return make("td", "", line);
  });

  const rowNamed = (row, name) => (row === "row" || name.startsWith(row) ? name : `${row} ${name}`);
  const wordOf = (name, step) => {
    if (view.contents[name] !== undefined) return view.contents[name];
    const slot = view.words ? view.words.slots.indexOf(name) : -1;
    if (slot < 0) return null;
    const size = words.shape[1];
    const numbers = [...Array(Math.min(size, 12)).keys()].map((at) => shown(words.at(slot * size + at, step)));
    return numbers.join("  ") + (size > 12 ? "  …" : "");
  };
  const valueOf = (number, row, step) => {
    const value = tracks[number].at(row, step);
    const named = view.tracks[number].symbols[value];
    return named === undefined ? shown(value) : `${named}`;
  };
  const summary = (number, step) => {
    const {rows, form, row} = view.tracks[number];
    if (form === "bars" || (form === "symbols" && rows.length === 1)) return valueOf(number, 0, step);
    if (rows.length <= 4 && row !== view.holders) {
      return rows.map((name, at) => `${name} ${valueOf(number, at, step)}`).join(", ");
    }
    let best = 0;
    rows.forEach((_, at) => { if (tracks[number].at(at, step) > tracks[number].at(best, step)) best = at; });
    return `largest: ${rowNamed(row, rows[best])}, ${valueOf(number, best, step)}`;
  };

  // The gradient
  const chosen = element("chosen");
  let output = -1;
  if (view.gradients) {
    element("of-output").hidden = false;
    for (const step of view.gradients.steps) make("option", String(step), chosen).value = String(step);
  }
  const choose = (step) => {
    const place = view.gradients ? view.gradients.steps.indexOf(step) : -1;
    if (place < 0) return;
    output = step;
    chosen.value = String(step);
    let top = 0;
    let said = "";
    for (const [name, rows] of Object.entries(view.gradients.norms)) {
      const values = rows[place];
      source(`gradient ${name}`).data = {step: range.slice(0, values.length), value: values};
      const order = [...values.keys()].sort((one, other) => values[other] - values[one]).slice(0, 3);
      top = Math.max(top, values[order[0]]);
      const most = order.filter((at) => values[at] > 0).map((at) => `${at} (${shown(values[at])})`).join(", ");
      if (most) said += `${said ? "; " : ""}${name}: ${view.step}s ${most}`;
    }
    for (const one of models("gradient range")) one.setv({start: 0, end: 1.05 * (top || 1)});
    for (const one of models("chosen")) one.location = step;
    element("dependence").textContent = `output ${step} depends most on: ${said || "nothing"}`;
    element("dependence").title = view.gradients.of;
  };
  chosen.addEventListener("change", () => { go(Number(chosen.value)); chosen.blur(); });

  // The mark of the step: one line over all drawings. One in each would have every drawing painted anew at every step.
  const mark = element("mark");
  const first = views.time.child_views[0];
  const placeMark = () => {
    if (!first) return;
    const {start, end} = first.model.x_range;
    const {left, width} = first.frame.bbox;
    const share = (now - start) / (end - start);
    const offset = first.el.getBoundingClientRect().left - element("time").getBoundingClientRect().left;
    mark.hidden = share < 0 || share > 1;
    mark.style.left = `${offset + left + share * width}px`;
  };
  if (first) first.model.x_range.change.connect(placeMark);
  new ResizeObserver(() => requestAnimationFrame(placeMark)).observe(element("time"));

  // Stepping
  const slider = element("slider");
  slider.max = String(steps - 1);
  let now = -1;
  const show = () => {
    placeMark();
    slider.value = String(now);
    element("now").textContent = `${view.step} ${now} (0 to ${steps - 1})`;
    view.films.forEach((film, at) => {
      films[at].src = `data:image/png;base64,${film.pictures[film.places[now]]}`;
    });
    view.texts.forEach((text, at) => { texts[at].textContent = text.lines[now]; });
    cells.forEach((cell, number) => { cell.textContent = summary(number, now); });
    if (words) {
      const [slots, size] = words.shape;
      const values = new Float32Array(slots * size);
      for (let at = 0; at < values.length; at++) values[at] = words.at(at, now);
      source("words").data = {image: [asImage(values, [slots, size])]};
    }
    if (view.links) {
      const slots = [...view.links.slots.keys()];
      source("links").data = {
        slot: slots,
        following: slots.map((slot) => following.at(slot, now)),
        strength: slots.map((slot) => strength.at(slot, now)),
      };
    }
    choose(now);
  };
  const go = (step) => {
    const next = Math.max(0, Math.min(steps - 1, step));
    if (next === now) return;
    now = next;
    show();
  };
  let timer = null;
  const play = () => {
    if (timer === null && now === steps - 1) go(0);
    timer = timer === null ? setInterval(() => (now < steps - 1 ? go(now + 1) : play()), 150) : clearInterval(timer) ?? null;
    element("play").textContent = timer === null ? "play" : "stop";
  };
  const keys = {
    ArrowLeft: (many) => go(now - many), ArrowRight: (many) => go(now + many),
    Home: () => go(0), End: () => go(steps - 1), " ": play,
  };
  document.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey || event.target === chosen) return;
    event.preventDefault();
    keys[event.key](event.shiftKey ? 10 : 1);
  });
  slider.addEventListener("input", () => go(Number(slider.value)));
  element("play").addEventListener("click", () => { play(); element("play").blur(); });

  // The pointer
  const tip = element("tip");
  let pointer = [0, 0];
  document.addEventListener("mousemove", (event) => {
    pointer = [event.clientX, event.clientY];
  }, true);
  const said = (track, x, y) => {
    const step = Math.round(x);
    if (track === "words") {
      const [slots, size] = words.shape;
      const slot = Math.round(y);
      if (slot < 0 || slot >= slots || step < 0 || step >= size) return "";
      return `slot ${view.words.slots[slot]}\nnumber ${step} of its word: ${shown(words.at(slot * size + step, now))}`;
    }
    if (step < 0 || step >= steps) return "";
    if (track === "gradients") {
      const place = view.gradients.steps.indexOf(output);
      if (place < 0) return "";
      const lines = Object.entries(view.gradients.norms).map(([name, rows]) => `${name}: ${shown(rows[place][step] ?? 0)}`);
      return [`output ${output}, input of ${view.step} ${step}`, ...lines].join("\n");
    }
    const {rows, row, name, form} = view.tracks[track];
    const place = form === "bars" ? 0 : Math.round(y);
    if (place < 0 || place >= rows.length) return "";
    const lines = [name, `${view.step} ${step}`];
    if (rows.length > 1) lines.push(rowNamed(row, rows[place]));
    lines.push(`${row === view.holders ? "weight" : "value"} ${valueOf(track, place, step)}`);
    const word = row === view.holders ? wordOf(rows[place], step) : null;
    if (word !== null) lines.push(`holds ${word}`);
    return lines.join("\n");
  };
  const hover = (track, x, y) => {
    tip.textContent = said(track, x, y);
    tip.hidden = tip.textContent === "";
    tip.style.left = `${Math.min(pointer[0] + 14, window.innerWidth - 300)}px`;
    tip.style.top = `${Math.min(pointer[1] + 14, window.innerHeight - 110)}px`;
  };
  window.lukasaView = {go, hover, leave: () => { tip.hidden = true; }, said, view, tracks, get now() { return now; }};
  go(0);
  if (view.gradients && view.gradients.steps.length) choose(view.gradients.steps.at(-1));
  document.body.dataset.ready = "yes";
})();
