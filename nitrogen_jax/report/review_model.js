"use strict";
// The labels of a chunk and a person's changes of them. It knows nothing of the page.
class Labels {
  constructor(data) {
    this.data = data;
    this.rows = data.rows;
    this.names = [...data.buttons, "j_left", "j_right", "valid"];
    this.table = {};
    data.buttons.forEach((name, bit) => {
      this.table[name] = data.pressed.map((bits) => (bits >> bit & 1) === 1);
    });
    for (const name of ["j_left", "j_right"]) this.table[name] = data[name];
    this.table.valid = new Array(this.rows).fill(null); // null: as the table has it
    this.undone = []; // lists of edits, what `restore` goes back to
    this.exported = "[]";
    this.now = this.copy();
  }

  copy() {
    return Object.fromEntries(this.names.map((name) => [name, this.table[name].slice()]));
  }

  isStick(name) {
    return name === "j_left" || name === "j_right";
  }

  same(name, one, other) {
    return this.isStick(name) ? one[0] === other[0] && one[1] === other[1] : one === other;
  }

  isChanged(name, row) {
    return !this.same(name, this.now[name][row], this.table[name][row]);
  }

  changedAt(row) {
    return this.names.filter((name) => this.isChanged(name, row));
  }

  // Whether a row is said to be valid: by the person, else by its confidence, 0 meaning that not.
  isValid(row) {
    const said = this.now.valid[row];
    return said === null ? this.confidence(row) !== 0 : said;
  }

  // In 0..1; null where nobody knows.
  confidence(row) {
    const known = this.data.confidence;
    return known === null ? null : known[row];
  }

  // Rows from..to - 1 of a column become a value. One call is one step of undo, unless `joined`.
  set(name, from, to, value, joined = false) {
    if (!joined) this.remember();
    for (let row = from; row < to; row++) this.now[name][row] = value;
  }

  // Rows from..to - 1 become what the table says.
  reset(from, to) {
    this.remember();
    for (const name of this.names) {
      for (let row = from; row < to; row++) this.now[name][row] = this.table[name][row];
    }
  }

  remember() {
    this.undone.push(this.edits());
  }

  undo() {
    if (!this.undone.length) return false;
    this.restore(this.undone.pop());
    return true;
  }

  // All changes as the edits of an export: rows that follow each other and change alike are one.
  edits() {
    const found = [];
    let last = "";
    for (let row = 0; row < this.rows; row++) {
      const names = this.changedAt(row);
      const edit = {};
      const buttons = names.filter((name) => this.data.buttons.includes(name));
      if (buttons.length) {
        edit.buttons = Object.fromEntries(buttons.map((name) => [name, this.now[name][row]]));
      }
      for (const name of names) if (!buttons.includes(name)) edit[name] = this.now[name][row];
      const text = names.length ? JSON.stringify(edit) : "";
      if (text && text === last) found[found.length - 1].to = row + 1;
      else if (text) found.push({ from: row, to: row + 1, ...edit });
      last = text;
    }
    return found;
  }

  restore(edits) {
    this.now = this.copy();
    for (const { from, to, buttons = {}, ...others } of edits) {
      for (const [name, value] of Object.entries({ ...buttons, ...others })) {
        this.set(name, from, to, value, true);
      }
    }
  }

  export() {
    const edits = this.edits();
    this.exported = JSON.stringify(edits);
    return JSON.stringify({ ...this.data.head, edits }, null, 1) + "\n";
  }

  get isExported() {
    return JSON.stringify(this.edits()) === this.exported;
  }

  // Corrections that were exported before replace those that are here; one step of undo.
  load(text) {
    const read = JSON.parse(text);
    for (const [name, value] of Object.entries(this.data.head)) {
      if (name !== "edits" && read[name] !== value) {
        throw new Error(`its ${name} is ${JSON.stringify(read[name])}, and this page is of ` +
          JSON.stringify(value));
      }
    }
    if (!Array.isArray(read.edits)) throw new Error("it has no list of edits");
    read.edits.forEach((edit, number) => this.check(edit, number));
    this.remember();
    this.restore(read.edits);
    this.exported = JSON.stringify(this.edits());
  }

  check(edit, number) {
    const { from, to, buttons = {}, ...others } = edit;
    const whole = Number.isInteger(from) && Number.isInteger(to);
    const good = whole && 0 <= from && from < to && to <= this.rows &&
      Object.entries(buttons).every(([name, value]) =>
        this.data.buttons.includes(name) && typeof value === "boolean") &&
      Object.entries(others).every(([name, value]) => this.isStick(name)
        ? Array.isArray(value) && value.length === 2 && value.every((x) => Math.abs(x) <= 1)
        : name === "valid" && typeof value === "boolean");
    if (!good) throw new Error(`its edit ${number} is none of this chunk`);
  }
}
