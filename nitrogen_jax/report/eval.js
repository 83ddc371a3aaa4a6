// Clips, buttons and notes; what is shown of the agreement.
class Page {
  constructor() {
    this.at = (id) => document.getElementById(id);
    this.verdicts = new Verdicts(JSON.parse(this.at("data").textContent));
    this.listen();
    this.openLinked();
    this.draw();
  }

  // A video of data is decoded when its task is opened: many at once are too many for a browser.
  openClips(task) {
    for (const video of task.querySelectorAll("video[data-src]")) {
      video.src = video.dataset.src;
      video.removeAttribute("data-src");
    }
  }

  openLinked() {
    const task = location.hash.length > 1 && this.at(decodeURIComponent(location.hash.slice(1)));
    if (task && task.matches("details")) {
      task.open = true;
      task.scrollIntoView();
    }
  }

  draw() {
    for (const row of document.querySelectorAll("tr[data-task]")) {
      const task = row.dataset.task, episode = Number(row.dataset.episode);
      const { success, note } = this.verdicts.of(task, episode);
      const judged = this.verdicts.judged(task, episode);
      for (const button of row.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(success) === button.dataset.say);
      }
      const words = row.querySelector("input");
      if (words !== document.activeElement) words.value = note;
      const differs = success !== null && judged !== null && success !== judged;
      row.classList.toggle("differs", differs);
      row.querySelector("output").textContent = success === null ? "" : judged === null
        ? "the judge has none" : differs ? "overridden" : "confirmed";
    }
    const found = this.verdicts.agreement();
    for (const name of ["both_success", "judge_only", "person_only", "both_failure"]) {
      this.at(name).textContent = found[name];
    }
    this.at("agreement").textContent = this.sentence(found);
    document.body.dataset.said = this.verdicts.list().length;
  }

  sentence({ count, both_success, both_failure, share, kappa, unjudged }) {
    const more = unjudged ? ` ${unjudged} more of episodes that the judge did not decide.` : "";
    if (!count) return `No verdict of the judge is confirmed or overridden yet.${more}`;
    const chance = kappa === null ? "Cohen's kappa cannot be told: both always say the same"
      : `Cohen's kappa ${kappa.toFixed(2)}`;
    return `The judge agrees with a person on ${both_success + both_failure} of ${count} ` +
      `${count === 1 ? "episode" : "episodes"} (${(100 * share).toFixed(1)}%), ${chance}.${more}`;
  }

  export() {
    const link = document.createElement("a");
    const text = this.verdicts.export();
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "verdicts.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    this.verdicts.exported = text;
    const number = this.verdicts.list().length;
    this.say(`Exported ${number} ${number === 1 ? "verdict" : "verdicts"}.`);
  }

  async load(file) {
    try {
      this.verdicts.load(await file.text());
      this.say(`Loaded ${file.name}.`);
    } catch (error) {
      this.say(`${file.name} holds no verdicts of this page: ${error.message}.`);
    }
    this.draw();
  }

  say(text) {
    this.at("message").textContent = text;
  }

  listen() {
    const open = (wanted) => () => {
      for (const task of document.querySelectorAll("details.task")) task.open = wanted;
    };
    const actions = { export: () => this.export(), open: open(true), close: open(false) };
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      this.say("");
      if (button.dataset.do) return actions[button.dataset.do]();
      const row = button.closest("tr"), pressed = button.getAttribute("aria-pressed") === "true";
      const success = pressed ? null : button.dataset.say === "true"; // again: nothing is said
      this.verdicts.set(row.dataset.task, Number(row.dataset.episode), { success });
      this.draw();
    });
    document.addEventListener("change", async (event) => {
      if (event.target.id === "load") {
        if (event.target.files.length) await this.load(event.target.files[0]);
        event.target.value = "";
        return;
      }
      const row = event.target.closest("tr[data-task]");
      if (!row) return;
      this.verdicts.set(row.dataset.task, Number(row.dataset.episode), { note: event.target.value });
      this.draw();
    });
    for (const task of document.querySelectorAll("details.task")) {
      task.addEventListener("toggle", () => task.open && this.openClips(task));
    }
    window.addEventListener("hashchange", () => this.openLinked());
    window.addEventListener("beforeunload", (event) => {
      if (!this.verdicts.isExported) event.preventDefault();
    });
  }
}

window.report = new Page();
