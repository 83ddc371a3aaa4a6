// What is drawn: the pictures of a row, the pad, the strip. Nothing here changes a label.

// The pictures of all rows, line i being that of row i, decoded when they are needed.
class Pictures {
  constructor(text, kept = 90) {
    this.lines = text === "" ? [] : text.split("\n");
    this.kept = kept;
    this.found = new Map(); // row -> promise of an image, the latest last
  }

  get(row) {
    if (row < 0 || row >= this.lines.length) return Promise.resolve(null);
    let image = this.found.get(row);
    this.found.delete(row);
    if (image === undefined) {
      const fresh = new Image();
      fresh.src = "data:image/jpeg;base64," + this.lines[row];
      image = fresh.decode().then(() => fresh);
      image.catch(() => {}); // whoever waits for it is told; those fetched ahead are not
    }
    this.found.set(row, image);
    if (this.found.size > this.kept) this.found.delete(this.found.keys().next().value);
    return image;
  }
}

class PadView {
  constructor(svg, pad) {
    this.svg = svg;
    this.pad = pad;
    svg.setAttribute("viewBox", `0 0 ${pad.size[0]} ${pad.size[1]}`);
    this.shapes = {};
    this.tips = {};
    for (const [name, [kind, x, y, width, height]] of Object.entries(pad.shapes)) {
      const at = kind === "box"
        ? { x: x - width, y: y - height, width: 2 * width, height: 2 * height }
        : { cx: x, cy: y, r: width };
      const shape = this.add(kind === "box" ? "rect" : "circle", at);
      shape.classList.add("button", kind);
      shape.dataset.button = name;
      this.shapes[name] = shape;
    }
    for (const [name, [x, y]] of Object.entries(pad.sticks)) {
      const line = this.add("line", { x1: x, y1: y, x2: x, y2: y });
      const tip = this.add("circle", { cx: x, cy: y, r: 4 });
      const area = this.add("circle", { cx: x, cy: y, r: pad.travel + 1 });
      line.classList.add("stick");
      tip.classList.add("stick", "tip");
      area.classList.add("area");
      area.dataset.stick = name;
      this.tips[name] = [line, tip];
    }
  }

  add(kind, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return this.svg.appendChild(made);
  }

  // Where on the pad an event is, as the values of a stick in -1..1.
  stickAt(event, name) {
    const point = new DOMPoint(event.clientX, event.clientY);
    const at = point.matrixTransform(this.svg.getScreenCTM().inverse());
    const [x, y] = this.pad.sticks[name];
    return [at.x - x, at.y - y].map((far) => {
      const value = Math.max(-1, Math.min(1, far / this.pad.travel));
      return Math.round(value * 1000) / 1000 + 0; // no -0
    });
  }

  draw(labels, row) {
    for (const [name, shape] of Object.entries(this.shapes)) {
      shape.classList.toggle("lit", labels.now[name][row]);
      shape.classList.toggle("changed", labels.isChanged(name, row));
    }
    for (const [name, [line, tip]] of Object.entries(this.tips)) {
      const [x, y] = this.pad.sticks[name].map(
        (centre, axis) => centre + this.pad.travel * labels.now[name][row][axis]);
      line.setAttribute("x2", x);
      line.setAttribute("y2", y);
      tip.setAttribute("cx", x);
      tip.setAttribute("cy", y);
      for (const part of [line, tip]) {
        part.classList.toggle("changed", labels.isChanged(name, row));
      }
    }
    this.svg.classList.toggle("invalid", !labels.isValid(row));
  }
}

// Confidence over the rows, what is changed and not valid above it, the range and the cursor.
class Strip {
  constructor(canvas, rows) {
    this.canvas = canvas;
    this.rows = rows;
    this.colours = {};
  }

  rowAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientX - box.left) / box.width * this.rows);
    return Math.max(0, Math.min(this.rows - 1, row));
  }

  // Where the labels changed: all but the cursor and the range is drawn, and kept.
  prepare(labels) {
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * scale));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * scale));
    Object.assign(this.canvas, { width, height });
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ink", "soft", "shade", "sure", "unsure", "changed", "invalid"]) {
      this.colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
    const base = this.base = document.createElement("canvas");
    Object.assign(base, { width, height });
    const brush = base.getContext("2d");
    brush.fillStyle = this.colours.shade;
    brush.fillRect(0, 0, width, height);
    const band = Math.round(height / 6);
    for (let x = 0; x < width; x++) {
      const first = Math.floor(x * this.rows / width);
      const end = Math.max(first + 1, Math.ceil((x + 1) * this.rows / width));
      let least = 1, changed = false, valid = true;
      for (let row = first; row < Math.min(end, this.rows); row++) {
        const known = labels.confidence(row);
        least = Math.min(least, known === null ? 1 : known);
        changed ||= labels.changedAt(row).length > 0;
        valid &&= labels.isValid(row);
      }
      if (labels.data.confidence !== null) {
        brush.fillStyle = least < 0.5 ? this.colours.unsure : this.colours.sure;
        const high = Math.max(1, Math.round(least * (height - 2 * band)));
        brush.fillRect(x, height - high, 1, high);
      }
      if (changed) this.fill(brush, "changed", x, 0, band);
      if (!valid) this.fill(brush, "invalid", x, band, band);
    }
    if (labels.data.confidence === null) {
      brush.fillStyle = this.colours.soft;
      brush.font = `${Math.round(height / 4)}px sans-serif`;
      brush.fillText("confidence unknown", 8, height - band);
    }
  }

  fill(brush, colour, x, y, height) {
    brush.fillStyle = this.colours[colour];
    brush.fillRect(x, y, 1, height);
  }

  draw(row, range) {
    const brush = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    brush.drawImage(this.base, 0, 0);
    const x = (at) => Math.round(at * width / this.rows);
    if (range) {
      brush.globalAlpha = 0.25;
      brush.fillStyle = this.colours.ink;
      brush.fillRect(x(range[0]), 0, Math.max(1, x(range[1]) - x(range[0])), height);
      brush.globalAlpha = 1;
    }
    brush.fillStyle = this.colours.ink;
    brush.fillRect(Math.min(x(row + 0.5), width - 2), 0, 2, height);
  }
}

// An edit in words, for the list of changes.
function describeEdit(edit, labels) {
  const words = Object.entries(edit.buttons || {}).map(([name, pressed]) => {
    const shown = labels.data.labels[labels.data.buttons.indexOf(name)];
    return `${shown} ${pressed ? "pressed" : "released"}`;
  });
  for (const [name, side] of [["j_left", "left"], ["j_right", "right"]]) {
    if (edit[name]) words.push(`${side} stick ${edit[name].join(", ")}`);
  }
  if ("valid" in edit) words.push(edit.valid ? "valid" : "not valid");
  const rows = edit.to === edit.from + 1 ? `row ${edit.from}` : `rows ${edit.from} to ${edit.to - 1}`;
  return `${rows}: ${words.join(", ")}`;
}
