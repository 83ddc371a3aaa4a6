"use strict";
// What a person says of episodes, and how far the judge agrees. It knows nothing of the page.
class Verdicts {
  constructor(data) {
    this.data = data;
    this.outcomes = new Map(data.episodes.map(
      ([task, episode, outcome]) => [Verdicts.key(task, episode), outcome]));
    this.said = new Map(); // key -> {success: true, false or null, note}
    this.take(data.verdicts);
    this.exported = this.export();
  }

  static key(task, episode) {
    return JSON.stringify([task, episode]);
  }

  // What is said of an episode: {success, note}.
  of(task, episode) {
    return this.said.get(Verdicts.key(task, episode)) || { success: null, note: "" };
  }

  set(task, episode, change) {
    const key = Verdicts.key(task, episode);
    this.said.set(key, { ...this.of(task, episode), ...change });
  }

  // What the judge said: true, false, or null after a crash and the like.
  judged(task, episode) {
    const outcome = this.outcomes.get(Verdicts.key(task, episode));
    return outcome === "success" ? true : outcome === "failure" ? false : null;
  }

  list() {
    const found = [];
    for (const [task, episode] of this.data.episodes) {
      const { success, note } = this.of(task, episode);
      if (success !== null) found.push({ task, episode, success, note });
    }
    return found;
  }

  // Counts by what both said; share and Cohen's kappa are null where they cannot be told.
  agreement() {
    const count = { both_success: 0, judge_only: 0, person_only: 0, both_failure: 0, unjudged: 0 };
    for (const { task, episode, success } of this.list()) {
      const judge = this.judged(task, episode);
      if (judge === null) count.unjudged++;
      else if (judge) count[success ? "both_success" : "judge_only"]++;
      else count[success ? "person_only" : "both_failure"]++;
    }
    const { both_success: a, judge_only: b, person_only: c, both_failure: d } = count;
    const all = a + b + c + d;
    const chance = (a + b) * (a + c) + (c + d) * (b + d), most = all * all;
    return {
      ...count, count: all,
      share: all ? (a + d) / all : null,
      kappa: chance === most ? null : ((a + d) * all - chance) / (most - chance),
    };
  }

  export() {
    const { format, created } = this.data;
    return JSON.stringify({ format, created, verdicts: this.list() }, null, 1) + "\n";
  }

  get isExported() {
    return this.export() === this.exported;
  }

  // A file that was exported before replaces what is said here.
  load(text) {
    const read = JSON.parse(text);
    if (!read || read.format !== this.data.format) throw new Error("its format is another one");
    if (read.created !== undefined && read.created !== this.data.created) {
      throw new Error(`it is of the evaluation of ${read.created}`);
    }
    if (!Array.isArray(read.verdicts)) throw new Error("it has no list of verdicts");
    read.verdicts.forEach((one, number) => {
      const good = one && this.outcomes.has(Verdicts.key(one.task, one.episode)) &&
        typeof one.success === "boolean" && typeof (one.note ?? "") === "string";
      if (!good) throw new Error(`its verdict ${number} is of no episode of this page`);
    });
    this.take(read.verdicts);
    this.exported = this.export();
  }

  take(verdicts) {
    this.said.clear();
    for (const { task, episode, success, note } of verdicts) {
      this.set(task, episode, { success, note: note ?? "" });
    }
  }
}
