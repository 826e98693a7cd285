/* What pages gain from a script: copying, line numbers, dropped files, and builds that are followed while they run.
   Without it everything can still be read and sent. */
"use strict";

const forEach = (selector, act) => document.querySelectorAll(selector).forEach(act);

/* the answer to a form is not sent once more when it is loaded again, or come back to */
if (document.body.dataset.again) history.replaceState(null, "", document.body.dataset.again);

/* copying */
const showCopyButtons = () => {
  if (!navigator.clipboard) return;
  forEach("button.copy[hidden]", (button) => { button.hidden = false; });
  forEach("a.copy", (link) => { link.title = "Click to copy!"; });
};
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button || !navigator.clipboard) return;
  event.preventDefault();
  await navigator.clipboard.writeText(button.dataset.copy);
  const word = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = word; }, 1500);
});
document.addEventListener("htmx:afterSwap", showCopyButtons);
showCopyButtons();

/* a form that is on its way is not sent twice by the same button; a page that comes back from history can be sent again */
const SENT_MILLISECONDS = 10000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  const button = event.submitter;
  if (form.sent && form.sent.button === button && Date.now() - form.sent.at < SENT_MILLISECONDS) {
    event.preventDefault();
    return;
  }
  form.sent = { button, at: Date.now() };
  forEach("[aria-busy]", (other) => other.removeAttribute("aria-busy"));
  if (button) button.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => {
  forEach("form", (form) => { delete form.sent; });
  forEach("[aria-busy]", (button) => button.removeAttribute("aria-busy"));
});

/* the editor of specifications */
const textarea = document.getElementById("specification");
if (textarea && textarea.tagName === "TEXTAREA") {
  const gutter = document.querySelector(".gutter");
  const marks = document.querySelector(".marks");
  const number = () => {
    const links = [...document.querySelectorAll("[data-line]")];
    const wrong = new Set(links.map((link) => Number(link.dataset.line)));
    const lines = textarea.value.split("\n");
    gutter.replaceChildren(...lines.map((_, index) => {
      const line = document.createElement("span");
      line.textContent = `${index + 1}\n`;
      if (wrong.has(index + 1)) line.className = "wrong";
      return line;
    }));
    /* what is wrong with a line stands behind it; its words, unseen, keep the place */
    marks.replaceChildren(...links.filter((link) => Number(link.dataset.line) <= lines.length).map((link) => {
      const mark = document.createElement("div");
      mark.append(document.createElement("span"), document.createElement("span"));
      mark.firstChild.textContent = lines[Number(link.dataset.line) - 1];
      mark.lastChild.textContent = link.nextElementSibling.textContent;
      mark.style.top = `${(Number(link.dataset.line) - 1) * 1.6}em`;
      return mark;
    }));
    scroll();
  };
  const scroll = () => {
    gutter.scrollTop = textarea.scrollTop;
    marks.style.transform = `translate(${-textarea.scrollLeft}px, ${-textarea.scrollTop}px)`;
  };
  const form = document.getElementById("format");
  const take = async (file) => {
    if (file.size > 10 * 1024 * 1024) {
      document.getElementById("problems").textContent = `${file.name} is larger than 10 MiB, which is the most that is taken.`;
      return;
    }
    textarea.value = await file.text();
    /* of this form alone the name of the file says more than the text */
    if (/requirements.*\.txt$/i.test(file.name)) form.value = "requirements.txt";
    else if (form.value === "requirements.txt") form.value = "";
    document.getElementById("file-is-read").value = "yes";
    number();
    textarea.dispatchEvent(new Event("input", { bubbles: true }));
  };
  textarea.addEventListener("input", number);
  textarea.addEventListener("scroll", scroll);
  document.getElementById("file").addEventListener("change", (event) => {
    if (event.target.files.length) take(event.target.files[0]);
  });
  const editor = textarea.closest(".editor");
  editor.addEventListener("dragover", (event) => { event.preventDefault(); editor.classList.add("over"); });
  editor.addEventListener("dragleave", () => editor.classList.remove("over"));
  editor.addEventListener("drop", (event) => {
    event.preventDefault();
    editor.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-line]");
    if (!link) return;
    event.preventDefault();
    const lines = textarea.value.split("\n");
    const before = lines.slice(0, Number(link.dataset.line) - 1);
    const start = before.reduce((length, line) => length + line.length + 1, 0);
    textarea.focus();
    textarea.setSelectionRange(start, start + (lines[before.length] || "").length);
  });
  document.addEventListener("htmx:afterSwap", () => {
    number();
    /* what has no name is given one in a field that is folded away */
    if (document.querySelector("#problems a[href='#name']")) document.getElementById("name").closest("details").open = true;
  });

  /* what was typed is there when one comes back; this window alone keeps it */
  const fields = [...textarea.form.elements].filter((field) => field.matches("textarea, select, input:not([type=hidden], [type=file])"));
  const draft = `draft of ${location.pathname}${location.search}`;
  const [visit] = performance.getEntriesByType("navigation");
  if (visit && ["back_forward", "reload"].includes(visit.type)) {
    const kept = JSON.parse(sessionStorage.getItem(draft) || "[]");
    fields.forEach((field, index) => { if (kept.length === fields.length) field.value = kept[index]; });
  }
  addEventListener("pagehide", () => sessionStorage.setItem(draft, JSON.stringify(fields.map((field) => field.value))));
  number();
}

/* packages that are chosen go into the specification: in place of the line that names them, else behind the last */
forEach(".needs-script[hidden]", (element) => { element.hidden = false; });
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  if (!button || !textarea) return;
  const wanted = button.dataset.insert;
  const name = wanted.split("=")[0];
  const lines = textarea.value.split("\n");
  const start = lines.findIndex((line) => /^dependencies:\s*$/.test(line));
  let last = start;
  let indent = "  ";
  let place = -1;
  for (let index = start + 1; start >= 0 && index < lines.length; index += 1) {
    const item = /^(\s*)-\s+["']?([^"'\s=<>!~[:]+)(:)?/.exec(lines[index]);
    if (!item && /^\S/.test(lines[index])) break;
    if (!item || (last > start && item[1] !== indent)) continue;
    if (item[3]) continue;
    indent = item[1];
    last = index;
    if (item[2].toLowerCase() === name.toLowerCase()) place = index;
  }
  if (place >= 0) lines[place] = `${indent}- ${wanted}`;
  else if (start >= 0) lines.splice(last + 1, 0, `${indent}- ${wanted}`);
  else lines.push("dependencies:", `${indent}- ${wanted}`);
  textarea.value = lines.join("\n");
  textarea.dispatchEvent(new Event("input", { bubbles: true }));
  button.classList.add("done");
});

/* finding a word in a log: Enter goes to the next one */
const logSearch = document.getElementById("log-search");
if (logSearch) {
  const log = document.getElementById("log-text");
  let last = -1;
  const show = (start, length) => {
    const selection = getSelection();
    selection.removeAllRanges();
    if (start < 0) return;
    const nodes = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
    for (let node = nodes.nextNode(), left = start; node; left -= node.length, node = nodes.nextNode()) {
      if (left >= node.length) continue;
      const range = document.createRange();
      range.setStart(node, left);
      range.setEnd(node, Math.min(left + length, node.length));
      selection.addRange(range);
      log.scrollTop += range.getBoundingClientRect().top - log.getBoundingClientRect().top - log.clientHeight / 2;
      return;
    }
  };
  const next = () => {
    const word = logSearch.value.toLowerCase();
    const text = log.textContent.toLowerCase();
    last = word ? text.indexOf(word, last + 1) : -1;
    if (word && last < 0) last = text.indexOf(word);
    show(last, word.length);
  };
  logSearch.hidden = false;
  /* the line of the reason; where the log tells it otherwise, the last that speaks of a failure, else the last one */
  const jump = document.getElementById("log-error");
  if (jump) {
    jump.hidden = false;
    jump.addEventListener("click", () => {
      const lines = [...log.textContent.matchAll(/.+/g)].filter((line) => !line[0].startsWith("build failed"));
      const reasons = lines.filter((line) => jump.dataset.reason && line[0].startsWith(jump.dataset.reason));
      const wrong = lines.filter((line) => /error|fail|cannot|not found|unavailable|no solution/i.test(line[0]));
      const line = reasons.pop() || wrong.pop() || lines.pop();
      if (line) show(line.index, line[0].length);
      log.focus();
    });
  }
  logSearch.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    next();
  });
  logSearch.addEventListener("input", () => { last = -1; });
}

/* a build that is followed */
const live = document.getElementById("live");
if (live) {
  const log = document.getElementById("log-text");
  const status = document.getElementById("build-status");
  /* while a build waits it is replaced from time to time, by how many come first */
  const tell = (words) => {
    const text = document.getElementById("progress-text");
    if (text && text.textContent !== words) text.textContent = words;
  };
  const bar = document.getElementById("progress");
  const remaining = document.getElementById("remaining");
  const events = new EventSource(live.dataset.events);
  const follow = document.getElementById("log-follow");
  follow.parentElement.hidden = false;
  log.addEventListener("scroll", () => { follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 40; }, { passive: true });
  follow.addEventListener("change", () => { if (follow.checked) log.scrollTop = log.scrollHeight; });
  let isFresh = true;
  let phrase = document.getElementById("progress-text").textContent;
  events.addEventListener("open", () => tell(phrase));
  const megabytes = (count) => `${(count / 1048576).toFixed(1)} MiB`;

  events.addEventListener("log", (event) => {
    const follows = follow.checked;
    if (isFresh) log.textContent = "";
    isFresh = false;
    log.append(JSON.parse(event.data).text);
    if (follows) log.scrollTop = log.scrollHeight;
  });
  events.addEventListener("progress", (event) => {
    const now = JSON.parse(event.data);
    if (status.textContent !== now.status) {
      status.textContent = now.status;
      status.className = `status ${now.status.toLowerCase()}`;
      if (now.status === "QUEUED") location.reload();
    }
    forEach("[data-phase]", (item) => {
      if (item.dataset.phase === now.phase) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
    const current = document.querySelector("[data-phase][aria-current]");
    let isDone = Boolean(current);
    forEach("[data-phase]", (item) => {
      if (item === current) isDone = false;
      item.classList.toggle("done", isDone);
    });
    bar.max = now.packages_total || 1;
    bar.value = now.packages_linked;
    if (now.packages_total) {
      document.getElementById("progress-packages-text").textContent = `${now.packages_linked} of ${now.packages_total} packages`;
    }
    const bytes = document.getElementById("progress-bytes");
    if (now.bytes_total) {
      const said = document.getElementById("progress-bytes-text");
      bytes.max = now.bytes_total;
      bytes.value = now.bytes_done;
      said.textContent = `${megabytes(now.bytes_done)} of ${megabytes(now.bytes_total)}`;
      [bytes, said, bytes.previousElementSibling].forEach((element) => { element.hidden = false; });
    }
    if (now.status !== "QUEUED") {
      phrase = "Working.";
      tell(phrase);
    }
    const more = now.packages_total - now.packages_linked - now.remaining.length;
    remaining.hidden = !now.remaining.length;
    remaining.textContent = `Remaining: ${now.remaining.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  });
  events.addEventListener("end", () => {
    events.close();
    location.reload();
  });
  /* a browser comes back by itself when the connection breaks, but not when something between answers for the server */
  const comeBack = () => setTimeout(() => {
    fetch(location.href).then((answer) => { if (answer.status < 500) location.reload(); else comeBack(); }, comeBack);
  }, 3000);
  events.addEventListener("error", () => {
    tell("The server does not answer. Trying again ...");
    if (events.readyState === EventSource.CLOSED) comeBack();
  });
} else {
  const log = document.getElementById("log-text");
  if (log) log.scrollTop = log.scrollHeight;
}
