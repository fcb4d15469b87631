// The editor of the rules: colours, completion, and mistakes at their lines while one types. The form works
// without it.
"use strict";

(() => {
  const form = document.getElementById("change");
  if (!form || !window.CodeMirror) return;

  const DELAY_MS = 500;
  const editors = new Map();
  const mistakesOf = new Map();
  let schema = null;
  let names = JSON.parse(form.dataset.names || "{}");
  let isEdited = "draft" in form.dataset;

  // Editors

  for (const area of form.querySelectorAll("textarea[data-file]")) {
    const details = area.closest("details");
    const start = () => {
      if (details.open && !editors.has(area.dataset.file)) edit(area);
    };
    details.addEventListener("toggle", start);
    start();
  }

  function edit(area) {
    const file = area.dataset.file;
    const isToml = area.dataset.mode === "toml";
    const editor = CodeMirror.fromTextArea(area, {
      mode: isToml ? "toml" : null,
      lineNumbers: true,
      indentUnit: 2,
      inputStyle: "contenteditable",
      screenReaderLabel: area.getAttribute("aria-label"),
      // The whole text, so that the browser finds words in it.
      viewportMargin: area.value.length < 200_000 ? Infinity : 50,
      gutters: ["CodeMirror-lint-markers", "CodeMirror-linenumbers"],
      lint: { getAnnotations: (_text, _options, cm) => annotations(cm, file), lintOnChange: false, highlightLines: true },
      // Tab leaves the editor, as in every other field.
      extraKeys: {
        Tab: false,
        "Shift-Tab": false,
        "Ctrl-Space": isToml ? (cm) => complete(cm) : undefined,
        "Ctrl-Enter": () => form.requestSubmit(document.getElementById("check")),
      },
    });
    editors.set(file, editor);
    editor.on("change", () => changed());
    if (isToml) {
      editor.on("inputRead", (cm, change) => {
        if (change.origin === "+input" && /^[\w@"$[-]$/.test(change.text[0])) complete(cm, true);
      });
    }
    editor.performLint();
  }

  const first = editors.values().next().value;
  if (first && form.dataset.line) {
    first.setCursor(Number(form.dataset.line) - 1, 0);
    first.scrollIntoView(null, 200);
    first.focus();
  }

  // Mistakes

  let timer = null;
  let running = null;

  function changed() {
    isEdited = true;
    const apply = document.getElementById("apply");
    if (apply && !apply.disabled) {
      apply.disabled = true;
      apply.textContent = "Check again before you apply";
    }
    clearTimeout(timer);
    timer = setTimeout(check, DELAY_MS);
  }

  form.addEventListener("input", (event) => {
    if (event.target.matches("textarea, input[name=new_name], input[name=remove]")) changed();
  });

  async function check() {
    running?.abort();
    running = new AbortController();
    editors.forEach((editor) => editor.save());
    const fields = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch("/change/lint", { method: "POST", body: fields, signal: running.signal });
      if (!answer.ok) {
        const text = new DOMParser().parseFromString(await answer.text(), "text/html");
        show([], text.querySelector("[role=alert]")?.textContent.trim() || "The check failed.");
        return;
      }
      const found = await answer.json();
      if (found.names) names = found.names;
      show(found.mistakes, verdict(found));
    } catch (error) {
      if (error.name !== "AbortError") show([], "The service does not answer, so nothing is checked.");
    }
  }

  function verdict({ errors, warnings, tests, is_current: isCurrent }) {
    const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
    let text = errors ? `${counted(errors, "error")}, ${counted(warnings, "warning")}.` : `No errors, ${counted(warnings, "warning")}.`;
    if (!errors) text += tests ? ` ${counted(tests, "test")} passed.` : " The rules have no tests.";
    if (!isCurrent) text += " Someone else has changed the files meanwhile: a check shows how.";
    return text;
  }

  function show(mistakes, status) {
    mistakesOf.clear();
    for (const mistake of mistakes) {
      if (!mistake.file) continue;
      if (!mistakesOf.has(mistake.file)) mistakesOf.set(mistake.file, []);
      mistakesOf.get(mistake.file).push(mistake);
    }
    editors.forEach((editor) => editor.performLint());
    document.getElementById("mistakes").hidden = false;
    document.getElementById("mistakes-status").textContent = status;
    document.getElementById("mistakes-list").replaceChildren(...mistakes.map(item));
  }

  function item(mistake) {
    const element = (name, className, text) => {
      const node = document.createElement(name);
      node.className = className;
      node.textContent = text;
      return node;
    };
    const row = element("li", `mistake ${mistake.severity}`, "");
    row.append(element("span", `tag ${mistake.severity}`, mistake.severity), " ");
    if (mistake.file) {
      const link = element("a", "", `${mistake.file}:${mistake.line}`);
      link.href = `#${detailsOf(mistake.file)?.id ?? "change"}`;
      Object.assign(link.dataset, { file: mistake.file, line: mistake.line, column: mistake.column });
      row.append(link, " ");
    }
    row.append(element("span", "message", mistake.message));
    if (mistake.help) row.append(" ", element("span", "help", mistake.help));
    if (mistake.detail) row.append(element("pre", "wrap", mistake.detail));
    return row;
  }

  function detailsOf(file) {
    return form.querySelector(`textarea[data-file="${CSS.escape(file)}"]`)?.closest("details");
  }

  // Columns of mistakes count characters; those of the editor count UTF-16 units.
  function position(editor, line, column) {
    const text = editor.getLine(line - 1) ?? "";
    return CodeMirror.Pos(line - 1, [...text].slice(0, column - 1).join("").length);
  }

  function annotations(editor, file) {
    return (mistakesOf.get(file) ?? []).map((mistake) => ({
      severity: mistake.severity,
      message: mistake.help ? `${mistake.message}\n${mistake.help}` : mistake.message,
      from: position(editor, mistake.line, mistake.column),
      to: position(editor, mistake.end_line, mistake.end_column),
    }));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    const details = link && detailsOf(link.dataset.file);
    if (!details) return;
    event.preventDefault();
    details.open = true;
    const area = details.querySelector("textarea");
    if (!editors.has(area.dataset.file)) edit(area);
    const editor = editors.get(link.dataset.file);
    editor.setCursor(position(editor, Number(link.dataset.line), Number(link.dataset.column)));
    editor.scrollIntoView(null, 120);
    editor.focus();
  });

  // The mistakes of a page that was checked.
  for (const link of document.querySelectorAll("#mistakes-list a[data-line]")) {
    const row = link.closest("li");
    const [line, column] = [Number(link.dataset.line), Number(link.dataset.column)];
    const found = {
      severity: row.classList.contains("error") ? "error" : "warning",
      message: row.querySelector(".message").textContent,
      help: row.querySelector(".help")?.textContent,
      line, column, end_line: line, end_column: column + 1,
    };
    if (!mistakesOf.has(link.dataset.file)) mistakesOf.set(link.dataset.file, []);
    mistakesOf.get(link.dataset.file).push(found);
  }
  editors.forEach((editor) => editor.performLint());

  // Texts that are those of the files are not sent: a table can have more than a form may.
  form.addEventListener("formdata", (event) => {
    for (const area of form.querySelectorAll("textarea[data-as-on-disk]")) {
      if (area.value === area.defaultValue) event.formData.delete(area.name);
    }
  });

  // Leaving with unsaved texts

  form.addEventListener("submit", (event) => {
    isEdited = event.submitter?.name === "download" && isEdited;
    const button = event.submitter;
    if (button?.id === "check" || button?.id === "apply") {
      document.getElementById("check-hint").textContent =
        button.id === "check" ? "Checking, and replaying calls …" : "Applying …";
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (isEdited) event.preventDefault();
  });

  // Completion, from the JSON Schema of a rule table and the names in it

  async function loadSchema() {
    try {
      const answer = await fetch("/change/schema");
      if (answer.ok) schema = await answer.json();
    } catch {
      // Completion is a convenience: the editor works without it.
    }
  }
  loadSchema();

  function complete(cm, byItself = false) {
    if (!schema) return;
    const { list, from, to } = proposals(cm);
    if (!list.length || (byItself && list.length === 1 && list[0].text === cm.getRange(from, to))) return;
    cm.showHint({
      completeSingle: !byItself,
      closeOnUnfocus: true,
      hint: () => proposals(cm),
      extraKeys: { Tab: (_, menu) => menu.pick() },
    });
  }

  // Path of keys at a line: the table header above it, without the names of lists and the like.
  function place(cm, line) {
    for (let at = line; at >= 0; at--) {
      const header = /^\s*\[\[?\s*([^\]]+?)\s*\]\]?/.exec(cm.getLine(at));
      if (header) return { path: keys(header[1]), line: at };
    }
    return { path: [], line: -1 };
  }

  const keys = (text) => (text.match(/"[^"]*"|'[^']*'|[^.\s]+/g) ?? []).map((key) => key.replace(/^["']|["']$/g, ""));

  function lookUp(path) {
    let node = schema;
    for (const key of path) {
      node = node?.items ?? node;
      node = node?.properties?.[key] ?? (typeof node?.additionalProperties === "object" ? node.additionalProperties : undefined);
    }
    return node?.items?.properties ? node.items : node;
  }

  // Names that the texts define, beside those of the table that was loaded.
  function defined(section) {
    const found = new Set(names[{ lookup: "lookups" }[section] ?? section] ?? []);
    const header = new RegExp(`^\\s*\\[${section}\\.("[^"]+"|[\\w-]+)`, "gm");
    const dotted = new RegExp(`^\\s*${section}\\.("[^"]+"|[\\w-]+)`, "gm");
    const texts = [...form.querySelectorAll('textarea[data-mode="toml"]')].map((area) => editors.get(area.dataset.file)?.getValue() ?? area.value);
    for (const text of texts) {
      for (const match of [...text.matchAll(header), ...text.matchAll(dotted)]) found.add(match[1].replace(/"/g, ""));
      const block = new RegExp(`^\\s*\\[${section}\\]\\s*$([\\s\\S]*?)(?=^\\s*\\[|$(?![\\s\\S]))`, "m").exec(text);
      for (const match of (block?.[1] ?? "").matchAll(/^\s*("[^"]+"|[\w-]+)\s*=/gm)) found.add(match[1].replace(/"/g, ""));
    }
    return [...found].sort();
  }

  function valuesOf(key, path) {
    const node = lookUp([...path, key]);
    const own = {
      agent: () => defined("agents"),
      from: () => defined("lists").map((name) => `@${name}`),
      to: () => defined("lists").map((name) => `@${name}`),
      forwarded_from: () => defined("lists").map((name) => `@${name}`),
      hours: () => defined("hours"),
      dates: () => defined("dates"),
      closed: () => defined("dates"),
      split: () => defined("splits"),
    }[key];
    const values = own?.() ?? [];
    const types = [node?.type ?? []].flat();
    const fixed = [node?.enum ?? [], node?.items?.enum ?? [], (node?.anyOf ?? []).flatMap((one) => one.enum ?? [])].flat();
    return {
      texts: [...values, ...fixed.filter((value) => typeof value === "string")],
      words: types.includes("boolean") ? ["true", "false"] : [],
    };
  }

  function proposals(cm) {
    const cursor = cm.getCursor();
    const before = cm.getLine(cursor.line).slice(0, cursor.ch);
    const at = (length) => CodeMirror.Pos(cursor.line, cursor.ch - length);
    const matching = (candidates, typed, text = (name) => name) => candidates
      .filter((name) => name.toLowerCase().includes(typed.toLowerCase()))
      .sort((a, b) => b.toLowerCase().startsWith(typed.toLowerCase()) - a.toLowerCase().startsWith(typed.toLowerCase()))
      .slice(0, 100)
      .map((name) => ({ text: text(name), displayText: name }));

    const header = /^\s*\[\[?\s*([\w.-]*)$/.exec(before);
    if (header) {
      const isArray = (name) => schema.properties[name]?.type === "array";
      const sections = Object.keys(schema.properties).filter((name) => ["array", "object"].includes([schema.properties[name].type].flat().at(-1)));
      const written = before.trimStart();
      const list = matching(sections, header[1]).map(({ displayText: name }) => {
        const named = schema.properties[name].additionalProperties;
        const text = isArray(name) ? `[[${name}]]` : named?.properties && name !== "agents" ? `[${name}.` : `[${name}]`;
        return { text, displayText: isArray(name) ? `[[${name}]]` : `[${name}]` };
      });
      return { list, from: at(written.length), to: cursor };
    }

    const { path, line } = place(cm, cursor.line);
    const pair = /^\s*([\w-]+)\s*=\s*(.*)$/.exec(before);
    if (pair) {
      const { texts, words } = valuesOf(pair[1], path);
      const quoted = /"([^"]*)$/.exec(pair[2].replace(/"[^"]*"/g, (all) => " ".repeat(all.length)));
      if (quoted) {
        const typed = quoted[1].replace(/^!/, "");
        const ends = cm.getLine(cursor.line).slice(cursor.ch).startsWith('"') ? "" : '"';
        return { list: matching(texts, typed, (name) => name + ends), from: at(typed.length), to: cursor };
      }
      const word = /(?:^|[[,\s])([\w-]*)$/.exec(pair[2])?.[1] ?? "";
      const list = [...matching(words, word), ...matching(texts, word, (name) => `"${name}"`)];
      return { list, from: at(word.length), to: cursor };
    }

    const key = /^\s*([\w-]*)$/.exec(before);
    if (!key) return { list: [], from: cursor, to: cursor };
    const present = new Set();
    for (let next = line + 1; next < cm.lineCount() && !/^\s*\[/.test(cm.getLine(next)); next++) {
      const known = /^\s*([\w-]+)\s*=/.exec(cm.getLine(next));
      if (known && next !== cursor.line) present.add(known[1]);
    }
    const known = Object.keys(lookUp(path)?.properties ?? {}).filter((name) => !present.has(name));
    return { list: matching(known, key[1], (name) => `${name} = `), from: at(key[1].length), to: cursor };
  }
})();
