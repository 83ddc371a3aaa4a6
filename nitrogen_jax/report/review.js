// Keys, buttons and the pointer; what is shown, and what an edit is of.
class Page {
  constructor() {
    const text = (id) => document.getElementById(id).textContent;
    this.data = JSON.parse(text("data"));
    this.labels = new Labels(this.data);
    this.frames = new Pictures(text("frames"));
    this.overlays = new Pictures(text("overlays"));
    this.at = (id) => document.getElementById(id);
    this.pad = new PadView(this.at("pad"), this.data.pad);
    this.strip = new Strip(this.at("strip"), this.data.rows);
    this.shown = -1; // the row whose pictures and labels are on the page
    this.wanted = 0; // the row that will be, once its pictures are decoded
    this.range = null; // [from, to), what edits are of; null: the shown row
    this.mark = null; // where a range began that has no end yet
    this.unsure = -1; // which of the least certain rows was looked at last
    this.playing = null;
    this.listen();
    this.strip.prepare(this.labels);
    this.listChanges();
    this.show(0);
  }

  // -------------------------------------------------------------------------------------------
  // Which row is shown

  // NOTE: pictures and labels of a row appear in one go, when its pictures are decoded, and edits
  // are of the row that is shown: what a person sees is always what they correct.
  show(row) {
    this.wanted = Math.max(0, Math.min(this.data.rows - 1, row));
    this.loading ??= this.follow().finally(() => { this.loading = null; });
    return this.loading;
  }

  async follow() {
    while (this.shown !== this.wanted) {
      const row = this.wanted;
      try {
        const both = [this.frames.get(row), this.overlays.get(row)];
        const [frame, overlay] = await Promise.all(both);
        this.paint("frame", frame);
        this.paint("overlay", overlay);
      } catch (error) {
        this.say(`The picture of row ${row} cannot be shown: ${error.message}`);
        this.stop();
        this.wanted = this.shown;
        return;
      }
      this.shown = row;
      this.draw();
      for (let ahead = 1; ahead <= 8; ahead++) {
        this.frames.get(row + ahead);
        this.overlays.get(row + ahead);
      }
    }
  }

  paint(id, image) {
    const canvas = this.at(id);
    if (canvas && image) canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  }

  step(rows) {
    this.stop();
    this.show(this.wanted + rows);
  }

  play() {
    if (this.playing) return this.stop();
    const row = this.wanted + 1 < this.data.rows ? this.wanted : 0;
    const play = this.playing = { row, time: this.data.times[row], before: null };
    const tick = (now) => {
      if (this.playing !== play) return;
      const speed = Number(this.at("speed").value);
      play.time += (now - (play.before ?? now)) / 1000 * speed;
      play.before = now;
      // Where decoding is slower than this, frames are left out, and labels with them.
      while (play.row + 1 < this.data.rows && this.data.times[play.row + 1] <= play.time) play.row++;
      this.show(play.row);
      if (play.row + 1 === this.data.rows) this.stop();
      else requestAnimationFrame(tick);
    };
    this.do("play").textContent = "pause";
    requestAnimationFrame(tick);
  }

  stop() {
    this.playing = null;
    this.do("play").textContent = "play";
  }

  jumpUnsure(by) {
    const rows = this.data.least_certain;
    if (!rows.length) {
      this.say(this.data.confidence === null
        ? "The table says nothing about confidence." : "All rows are certain.");
      return;
    }
    this.unsure = (Math.max(this.unsure, by < 0 ? 0 : -1) + by + rows.length) % rows.length;
    this.stop();
    this.show(rows[this.unsure]);
    this.say(`Number ${this.unsure + 1} of the ${rows.length} least certain.`);
  }

  // -------------------------------------------------------------------------------------------
  // Edits

  get scope() {
    return this.range || [this.shown, this.shown + 1];
  }

  edit(name, value, joined = false) {
    if (this.shown < 0) return;
    this.labels.set(name, ...this.scope, value, joined);
    this.changed();
  }

  toggle(name) {
    this.edit(name, !this.labels.now[name][this.shown]);
  }

  changed() {
    this.strip.prepare(this.labels);
    this.listChanges();
    this.draw();
  }

  markRange(from, to) {
    this.mark = null;
    this.range = from === null ? null : [Math.min(from, to), Math.max(from, to) + 1];
    this.draw();
  }

  export() {
    const link = document.createElement("a");
    const blob = new Blob([this.labels.export()], { type: "application/json" });
    link.href = URL.createObjectURL(blob);
    link.download = `${this.data.head.chunk_id}.corrections.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    const number = this.labels.edits().length;
    this.say(`Exported ${number} ${number === 1 ? "edit" : "edits"}.`);
  }

  async load(file) {
    try {
      this.labels.load(await file.text());
      this.say(`Loaded ${file.name}.`);
    } catch (error) {
      this.say(`${file.name} holds no corrections of this page: ${error.message}.`);
    }
    this.changed();
  }

  // -------------------------------------------------------------------------------------------
  // What is on the page

  draw() {
    if (this.shown < 0) return;
    const { labels, shown: row } = this;
    this.pad.draw(labels, row);
    this.strip.draw(row, this.range || (this.mark === null ? null : [this.mark, this.mark + 1]));
    for (const button of document.querySelectorAll("button[data-button]")) {
      const name = button.dataset.button;
      button.setAttribute("aria-pressed", labels.now[name][row]);
      button.classList.toggle("changed", labels.isChanged(name, row));
    }
    for (const input of document.querySelectorAll("input[data-stick]")) {
      const { stick, axis } = input.dataset;
      if (input !== document.activeElement) input.value = labels.now[stick][row][axis];
      input.classList.toggle("changed", labels.isChanged(stick, row));
    }
    const known = labels.confidence(row);
    this.at("where").textContent = `row ${row} of ${this.data.rows}, frame ` +
      `${this.data.first_frame + row}, ${this.data.times[row].toFixed(3)} s, confidence ` +
      `${known === null ? "unknown" : known.toFixed(2)}${labels.isValid(row) ? "" : ", not valid"}`;
    this.at("scope").textContent = this.range
      ? `Edits are of rows ${this.range[0]} to ${this.range[1] - 1}, ` +
        `${this.range[1] - this.range[0]} in all.`
      : this.mark === null ? "Edits are of the shown row."
        : `A range begins at row ${this.mark}; edits are of the shown row until it ends.`;
    document.body.dataset.row = row;
  }

  listChanges() {
    const list = document.createElement("ul");
    const edits = this.labels.edits();
    for (const edit of edits.slice(0, 500)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = describeEdit(edit, this.labels);
      button.addEventListener("click", () => this.step(edit.from - this.wanted));
      list.appendChild(document.createElement("li")).appendChild(button);
    }
    if (edits.length > 500) {
      list.appendChild(document.createElement("li")).textContent = `${edits.length - 500} more`;
    }
    this.at("changes").replaceChildren(edits.length ? list : "Nothing is changed.");
  }

  say(text) {
    this.at("message").textContent = text;
  }

  do(name) {
    return document.querySelector(`[data-do="${name}"]`);
  }

  // -------------------------------------------------------------------------------------------
  // Keys, buttons and the pointer

  listen() {
    const actions = this.actions = {
      play: () => this.play(),
      back: () => this.step(-1),
      next: () => this.step(1),
      back10: () => this.step(-10),
      next10: () => this.step(10),
      first: () => this.step(-this.data.rows),
      last: () => this.step(this.data.rows),
      previous_unsure: () => this.jumpUnsure(-1),
      next_unsure: () => this.jumpUnsure(1),
      begin: () => {
        this.markRange(null);
        this.mark = this.shown;
        this.draw();
      },
      end: () => this.markRange(this.mark ?? (this.range ? this.range[0] : this.shown), this.shown),
      clear: () => this.markRange(null),
      invalid: () => this.edit("valid", false),
      valid: () => this.edit("valid", true),
      reset: () => {
        this.labels.reset(...this.scope);
        this.changed();
      },
      undo: () => (this.labels.undo() ? this.changed() : this.say("There is nothing to undo.")),
      export: () => this.export(),
    };
    const keys = {
      " ": "play", ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last",
      n: "next_unsure", p: "previous_unsure", i: "begin", o: "end", Escape: "clear",
      x: "invalid", v: "valid", r: "reset", u: "undo",
    };
    document.addEventListener("keydown", (event) => {
      const typing = event.target.matches("input, select");
      if (event.key === "Escape" && typing) event.target.blur();
      if (typing || event.altKey) return;
      let name = keys[event.key];
      if (event.shiftKey && (name === "back" || name === "next")) name += "10";
      if (event.ctrlKey || event.metaKey) name = event.key === "z" ? "undo" : undefined;
      if (!name) return;
      event.preventDefault();
      this.say("");
      actions[name]();
    });
    document.addEventListener("click", (event) => {
      const found = event.target.closest("[data-do], [data-button]");
      if (!found) return;
      this.say("");
      if (found.dataset.do) actions[found.dataset.do]();
      else this.toggle(found.dataset.button);
      if (found.blur) found.blur(); // so that space plays and does not press it again
    });
    for (const input of document.querySelectorAll("input[data-stick]")) {
      input.addEventListener("change", () => this.typed(input));
    }
    this.at("load").addEventListener("change", async (event) => {
      if (event.target.files.length) await this.load(event.target.files[0]);
      event.target.value = "";
      event.target.blur();
    });
    this.listenToDrags();
    const again = () => {
      this.strip.prepare(this.labels);
      this.draw();
    };
    new ResizeObserver(again).observe(this.at("strip"));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    window.addEventListener("beforeunload", (event) => {
      if (!this.labels.isExported) event.preventDefault();
    });
  }

  typed(input) {
    const { stick, axis } = input.dataset;
    const value = Number(input.value);
    if (input.value === "" || !(Math.abs(value) <= 1)) {
      this.say("A stick is in -1..1.");
    } else {
      const other = this.labels.now[stick][this.shown][1 - axis];
      this.edit(stick, axis === "0" ? [value, other] : [other, value]);
    }
    input.blur();
    this.draw();
  }

  listenToDrags() {
    const svg = this.at("pad"), strip = this.at("strip");
    let stick = null, from = null, ranged = false;
    svg.addEventListener("pointerdown", (event) => {
      stick = event.target.dataset.stick || null;
      if (!stick) return;
      this.stop();
      svg.setPointerCapture(event.pointerId);
      this.edit(stick, this.pad.stickAt(event, stick));
    });
    svg.addEventListener("pointermove", (event) => {
      if (stick) this.edit(stick, this.pad.stickAt(event, stick), true);
    });
    strip.addEventListener("pointerdown", (event) => {
      this.stop();
      from = this.strip.rowAt(event);
      ranged = event.shiftKey;
      strip.setPointerCapture(event.pointerId);
      if (!ranged) this.show(from);
    });
    strip.addEventListener("pointermove", (event) => {
      if (from === null) return;
      if (ranged) this.markRange(from, this.strip.rowAt(event));
      else this.show(this.strip.rowAt(event));
    });
    for (const name of ["pointerup", "pointercancel"]) {
      svg.addEventListener(name, () => { stick = null; });
      strip.addEventListener(name, () => { from = null; });
    }
  }
}

window.review = new Page();
