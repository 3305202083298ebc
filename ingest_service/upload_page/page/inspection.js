// What an inspection found, as the person reads it: what the file is, its questions, columns, rows.

const text = (value) => (value === null || value === undefined ? "–"
  : typeof value === "object" ? JSON.stringify(value) : String(value));

// `view`: found, isAll, candidates' pick(name), answer(mapping).
function inspectionView(found, view) {
  const counts = found.counts || {};
  return [
    el("p", { class: "hero" }, ...verdict(counts)),
    el("p", { class: "quiet" }, lookedAt(found, view)),
    el("dl", { class: "facts" }, facts(found).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    questionsView(found, view),
    candidatesView(found, view),
    reasonsTable("Why rows would be rejected", found.reasons),
    reasonsTable("Stored, and perhaps not as meant", found.warnings),
    columnsTable(found.columns || []),
    rowsTable(found.rows || []),
  ];
}

function verdict(counts) {
  const bad = counts.would_reject || 0, good = counts.would_store || 0;
  if (!bad && !good) return [mark("bad", "no row could be read so")];
  const kind = !bad ? "good" : good ? "watch" : "bad";
  return [el("b", {}, count(good)), ` of ${count(counts.looked_at)} rows would be stored `,
    mark(kind, bad ? `${count(bad)} would be rejected` : "none would be rejected")];
}

function lookedAt(found, view) {
  const isWhole = found.is_whole_file && view.isAll;
  const note = (found.format || {}).note;
  return [note ? `${note[0].toUpperCase()}${note.slice(1)}. ` : "",
    isWhole ? "" : "There is more of the file: a dry run reads all of it. ",
    "Nothing was stored. Rows that are stored already are not told apart here."];
}

function facts(found) {
  const dialect = found.dialect || {}, encoding = found.encoding || {}, format = found.format || {};
  const given = [
    ["format", [format.name, format.compression].filter(Boolean).join(", packed with ")],
    ["rows are", found.data_type],
    ["encoding", encoding.name && `${encoding.name} (${encoding.how || "told"})`],
    ["delimiter", dialect.delimiter && shownMark(dialect.delimiter)],
    ["header", dialect.header && (dialect.header === "none" ? "none" : "first line")],
    ["lines skipped", dialect.skip_lines || null],
    ["comment", dialect.comment],
    ["escape", dialect.escape],
  ];
  return given.filter(([, value]) => value !== null && value !== undefined && value !== "");
}

function questionsView(found, view) {
  const choices = found.choices || [];
  const open = (found.questions || []).filter((one) => !choices.some((choice) => choice.question === one));
  if (!open.length && !choices.length) return null;
  return el("div", { class: "notice card" },
    el("h3", {}, "Please decide"),
    open.length ? el("ul", {}, open.map((one) => el("li", {}, one))) : null,
    choices.map((choice) => el("fieldset", {}, el("legend", {}, choice.question),
      el("div", { class: "row" }, choice.options.map((one) =>
        el("button", { type: "button", onclick: () => view.answer(one.mapping, one.label) }, one.label))))));
}

function candidatesView(found, view) {
  const candidates = (found.encoding || {}).candidates || [];
  if (candidates.length < 2) return null;
  return el("div", { class: "notice card" },
    el("h3", {}, "In which encoding does the text look right?"),
    candidates.map((one) => el("p", { class: "row" },
      el("button", { type: "button", onclick: () => view.pickEncoding(one.name) }, one.name),
      el("code", {}, one.sample))));
}

function reasonsTable(title, reasons) {
  if (!reasons || !reasons.length) return null;
  return el("div", {}, el("h3", {}, title),
    table(title, ["reason", numeric("rows"), "for example", { title: "what", class: "words" }],
      reasons.map((one) => [code(one.code), { class: "number", value: count(one.count) },
        one.example_line ? `line ${count(one.example_line)}` : "–", { class: "words", value: one.message }])));
}

function columnsTable(columns) {
  return more(`${count(columns.length)} columns`, () => table("Columns of the file",
    ["column", "type", "seems to be", { title: "samples", class: "words" }, "note"],
    columns.map((one) => [one.name, text(one.type), text(one.meaning),
      { class: "words", value: (one.samples || []).map(text).join(" · ") }, one.note || ""])));
}

function rowsTable(rows) {
  if (!rows.length) return null;
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return el("div", {}, el("h3", {}, "First rows, as they would be stored"),
    table("First rows, as they would be stored", names,
      rows.map((row) => names.map((name) => text(row[name])))));
}

const SAVE = "To use it for every file, have it saved in the tenant's settings. Only the operator can: send this text, " +
  "to be added to what `eta tenants show` prints and given back with `eta tenants set`. ";

function saveView(found, session, isChanged) {
  if (!found.proposed_settings_yaml) return null;
  return more("Save the mapping for good", () => isChanged
    ? el("p", {}, "The mapping was changed: look at the file again first, the text follows it.")
    : [el("p", {}, SAVE, /^time_range:/m.test(found.proposed_settings_yaml)
      ? "Its time range can be given in no other way: rows outside the tenant's are rejected." : ""),
    el("pre", { tabindex: "0", "aria-label": "Settings to save" }, found.proposed_settings_yaml),
    el("p", {}, el("button", { type: "button", onclick: () => saveFile(
      new Blob([found.proposed_settings_yaml], { type: "text/yaml" }), `${session.tenant}.yml`) }, "Download it"))]);
}
