// What the pages do: copy, filter, move in the matrix by arrow keys, plan. Without it every page can still be read.
"use strict";
document.documentElement.classList.add("js");

function copyButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const text = button.parentElement.querySelector("code").textContent;
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.parentElement.querySelector("code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand("copy") ? "Copied" : "Selected";
    }
    button.textContent = done;
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

function matches(text, wanted) {
  return wanted.every((words) => words.every((word) => text.includes(word)));
}

// "llama 70b, qwen" is (llama and 70b) or qwen
function query(text) {
  const groups = text.toLowerCase().split(",").map((part) => part.split(/\s+/).filter(Boolean)).filter((part) => part.length);
  return (name) => groups.length === 0 || groups.some((words) => matches(name, [words]));
}

function filterMatrix(form) {
  const table = document.querySelector("table[data-grid]");
  const head = [...table.tHead.rows[0].cells].slice(1);
  const rows = [...table.tBodies[0].rows];
  const apply = () => {
    const column = query(form.column.value);
    const row = query(form.row.value);
    const kind = form.kind.value ? "fit-" + form.kind.value : "";
    const shown = head.map((cell) => column(cell.dataset.name));
    head.forEach((cell, index) => { cell.hidden = !shown[index]; });
    let count = 0;
    for (const line of rows) {
      let any = false;
      [...line.cells].slice(1).forEach((cell, index) => {
        cell.hidden = !shown[index];
        const match = !kind || cell.classList.contains(kind);
        cell.classList.toggle("faded", !match);
        any = any || (shown[index] && match);
      });
      line.hidden = !row(line.dataset.name) || !any;
      count += line.hidden ? 0 : 1;
    }
    form.querySelector("output").textContent = `${count} of ${rows.length} models, ${shown.filter(Boolean).length} of ${head.length} GPUs`;
    roam(table);
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

function filterValues(form) {
  const entries = [...document.querySelectorAll(".entry")];
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const wanted = query(form.row.value);
    for (const entry of entries) entry.hidden = !wanted(entry.dataset.name);
    for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".entry:not([hidden])");
    form.querySelector("output").textContent = `${entries.filter((entry) => !entry.hidden).length} of ${entries.length} keys`;
  });
}

// One stop for the tab key in the whole table; arrows, Home and End move inside it.
function visible(row) {
  return [...row.cells].slice(1).filter((cell) => !cell.hidden).map((cell) => cell.firstElementChild);
}

function roam(table) {
  const links = table.querySelectorAll("tbody a");
  let first = null;
  for (const link of links) {
    link.tabIndex = -1;
    if (!first && !link.parentElement.hidden && !link.closest("tr").hidden) first = link;
  }
  if (first) first.tabIndex = 0;
}

function arrows(table) {
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -999], End: [0, 999] };
  table.addEventListener("keydown", (event) => {
    const move = step[event.key];
    const link = event.target.closest("tbody a");
    if (!move || !link) return;
    event.preventDefault();
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    const at = rows.indexOf(link.closest("tr"));
    const row = rows[Math.min(Math.max(at + move[0], 0), rows.length - 1)];
    const cells = visible(row);
    const place = visible(link.closest("tr")).indexOf(link) + move[1];
    const target = cells[Math.min(Math.max(place, 0), cells.length - 1)];
    link.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
  });
}

class Planner {
  constructor(form) {
    this.form = form;
    this.gated = new Set(JSON.parse(document.getElementById("gated").textContent));
    this.state = document.getElementById("state");
    this.waiting = new Map();
    this.last = 0;
    this.initial = this.fragment();
    form.addEventListener("submit", (event) => { event.preventDefault(); this.plan().then(() => this.reveal()); });
    form.addEventListener("change", () => { this.adapt(); this.plan(); });
    document.getElementById("download").addEventListener("click", () => this.download());
    addEventListener("hashchange", () => { if (this.fill()) this.plan(); });
    if (this.fill()) this.plan();
    this.adapt();
  }

  // Only what is pinned, by the names of the command line's options.
  question() {
    const field = (name) => this.form.elements[name].value.trim();
    const machine = field("machine");
    const nodes = Number(field("nodes")) > 1 ? `${field("nodes")}x` : "";
    const count = field("gpu") === "cpu" && !nodes && field("count") === "1" ? "" : `${field("count")}x`;
    const options = {};
    for (const input of this.form.elements) {
      if (!input.name || ["model", "gpu", "count", "nodes", "machine"].includes(input.name)) continue;
      if (input.type === "checkbox") {
        if (input.checked) options[input.name] = "on";
      } else if (input.value.trim()) {
        options[input.name] = input.value.trim();
      }
    }
    return { model: field("model"), profile: nodes + (machine || count + field("gpu")), options };
  }

  fragment() {
    const pairs = [...new FormData(this.form)].filter(([, value]) => value !== "");
    return new URLSearchParams(pairs).toString();
  }

  // The form as the address says; false where it says nothing.
  fill() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!given.has("model") || location.hash.slice(1) === this.shown) return false;
    this.form.reset();
    for (const [name, value] of given) {
      const input = this.form.elements[name];
      if (!input || !input.name) continue;
      if (input.type === "checkbox") input.checked = value === "on";
      else input.value = value;
    }
    return true;
  }

  adapt() {
    const { machine, gpu, count, model } = this.form.elements;
    gpu.disabled = count.disabled = machine.value.trim() !== "";
    const secret = this.form.elements["hf-token-secret"];
    const needed = this.gated.has(model.value.trim());
    if (needed && !secret.value) secret.value = secret.dataset.filled = "hf-token";
    if (!needed && secret.dataset.filled && secret.value === secret.dataset.filled) secret.value = "";
    if (!needed) delete secret.dataset.filled;
  }

  async plan() {
    this.adapt();
    if (!this.form.reportValidity()) return;
    const question = this.question();
    const number = ++this.last;
    this.state.textContent = this.ready ? "Planning…" : "Starting Python…";
    document.getElementById("result").setAttribute("aria-busy", "true");
    try {
      const answer = await this.ask(question);
      if (number === this.last) this.show(answer);
    } catch (error) {
      if (number === this.last) this.state.textContent = `It did not work: ${error.message}`;
    } finally {
      document.getElementById("result").removeAttribute("aria-busy");
    }
  }

  // Where the answer lies below the form, the button leads to it.
  reveal() {
    if (matchMedia("(max-width: 56rem)").matches) document.getElementById("answer").scrollIntoView();
  }

  show(answer) {
    this.state.textContent = answer.ok ? "Planned." : "It does not run so.";
    document.getElementById("result").innerHTML = answer.html;
    document.getElementById("values").hidden = !answer.ok;
    const codes = document.querySelectorAll(".answer .code code");
    if (answer.ok) {
      const missing = document.getElementById("missing");
      missing.hidden = !answer.missing;
      missing.textContent = answer.missing || "";
      document.getElementById("download").disabled = !answer.values;
      document.getElementById("file-name").textContent = answer.file;
      codes[0].textContent = answer.values || "";
      codes[1].textContent = answer.values ? answer.install : "";
      this.file = answer.file;
      this.text = answer.values;
    }
    codes[codes.length - 1].textContent = answer.command;
    this.shown = this.fragment();
    history.replaceState(null, "", `#${this.shown}`);
  }

  download() {
    const link = document.createElement("a");
    const text = this.text || document.querySelector("#values code").textContent;
    link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
    link.download = this.file || document.getElementById("file-name").textContent;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  ask(question) {
    return this.started().then((worker) => new Promise((resolve, reject) => {
      const id = (this.ids = (this.ids || 0) + 1);
      this.waiting.set(id, { resolve, reject });
      worker.postMessage({ id, question });
    }));
  }

  // The worker is a data: address, because a page that was opened as a file may start no other kind with modules.
  started() {
    this.worker ||= this.payload().then((payload) => new Promise((resolve, reject) => {
      const code = btoa(unescape(encodeURIComponent(payload.worker)));
      const worker = new Worker(`data:text/javascript;base64,${code}`, { type: "module" });
      worker.onerror = (event) => reject(new Error(event.message || "the worker does not start"));
      worker.onmessage = ({ data }) => {
        if (data.ready) {
          this.ready = data.milliseconds;
          resolve(worker);
        } else if (data.bug && !data.id) {
          reject(new Error(data.bug));
        } else {
          const { resolve: done, reject: failed } = this.waiting.get(data.id);
          this.waiting.delete(data.id);
          if (data.bug) failed(new Error(data.bug));
          else done(data.answer);
        }
      };
      worker.postMessage({ payload: { lock: payload.lock, files: payload.files } });
      delete globalThis.llmServingRuntime;
    }));
    return this.worker;
  }

  payload() {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "assets/runtime.js";
      script.onload = () => resolve(globalThis.llmServingRuntime);
      script.onerror = () => reject(new Error("assets/runtime.js is not there"));
      document.head.append(script);
    });
  }
}

// On a phone the contents of a page would push the page itself out of sight.
function foldContents() {
  if (!matchMedia("(max-width: 56rem)").matches) return;
  for (const details of document.querySelectorAll(".toc details")) details.open = false;
}

document.addEventListener("DOMContentLoaded", () => {
  foldContents();
  copyButtons();
  for (const form of document.querySelectorAll("form[data-filter]")) {
    (form.dataset.filter === "fit" ? filterMatrix : filterValues)(form);
  }
  for (const table of document.querySelectorAll("table[data-grid]")) { roam(table); arrows(table); }
  const form = document.getElementById("planner");
  if (form) globalThis.planner = new Planner(form);
});
