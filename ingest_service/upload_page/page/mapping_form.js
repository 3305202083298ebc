// The form for a mapping: which column feeds which field, what words mean, how times are written.

const option = (value, text, isChosen) => el("option", { value, selected: isChosen }, text);

function picker(label, options, chosen, onpick, describedBy) {
  const select = el("select", { "aria-label": label, "aria-describedby": describedBy,
    onchange: (event) => onpick(event.target.value) },
    options.map(([value, text]) => option(value, text, value === chosen)));
  return select;
}

// Told at every key, and the form is not drawn anew: a click on a button right after typing counts.
function typed(label, value, oninput, attributes) {
  return el("input", { type: "text", "aria-label": label, autocomplete: "off", spellcheck: "false",
    value, oninput: (event) => oninput(event.target.value), ...attributes });
}

// `view`: mapping, dataType, types (the tenant's, of interactions), columns (as inspected), change(edit)
// draws the form anew, note(edit) does not, replace(mapping), isFileOpen, keepOpen(isOpen).
function mappingForm(view) {
  const fields = FIELDS[view.dataType] || [];
  const names = view.columns.map((column) => column.name);
  return el("div", {},
    el("p", { class: "quiet" }, "A field is fed by a column of the file, or has one value for every row. " +
      "Columns that feed nothing are not stored."),
    table("Which column feeds which field", ["field", "from", "as"],
      fields.map((field) => fieldRow(view, field, names)), "form"),
    fileForm(view),
    handForm(view));
}

function fieldRow(view, field, names) {
  const source = sourceOf(view.mapping, field.name, names);
  const own = names.includes(field.name);
  const options = [
    ...(own ? [] : [["none", field.required ? "— choose —" : "— not in the file —"]]),
    ...names.map((name) => [`column ${name}`, name]),
    ["constant", "a fixed value …"],
  ];
  const isGone = source.kind === "column" && !names.includes(source.value);
  if (isGone) options.push([`column ${source.value}`, `${source.value} (not in the file)`]);
  const chosen = source.kind === "column" ? `column ${source.value}` : source.kind;
  const pick = (value) => view.change((mapping) => setSource(mapping, field.name,
    value.startsWith("column ") ? { kind: "column", value: value.slice(7) } : { kind: value, value: "" }));
  const select = picker(`${field.name}: from`, options, chosen, pick);
  select.id = `from-${field.name}`;
  return [
    el("span", {}, code(field.name), field.required ? " (needed)" : ""),
    el("div", { class: "stack" }, select,
      source.kind === "constant" && typed(`${field.name}: the fixed value`, source.value,
        (value) => view.note((mapping) => setSource(mapping, field.name, { kind: "constant", value })),
        { id: `constant-${field.name}` })),
    source.kind === "none" ? null : el("div", { class: "stack" }, fieldDetail(view, field, source)),
  ];
}

function fieldDetail(view, field, source) {
  if (field.kind === "timestamp") return timeForm(view, field);
  if (field.kind === "interaction_type") return wordsForm(view, field, source);
  const words = Object.keys((view.mapping.values || {})[field.name] || {}).length;
  const samples = samplesOf(view, source);
  return el("span", { class: "quiet" }, words ? `${words} words are translated` : samples.join(" · "));
}

function samplesOf(view, source) {
  const column = view.columns.find((one) => source.kind === "column" && one.name === source.value);
  return column ? (column.samples || []).map(String).slice(0, 3) : [];
}

function timeForm(view, field) {
  const time = timeOf(view.mapping, field.name);
  const unit = unitOf(time);
  const change = (edit) => view.change((mapping) => setTime(mapping, field.name, edit));
  const note = (edit) => view.note((mapping) => setTime(mapping, field.name, edit));
  const units = picker(`${field.name}: how it is written`, Object.entries(UNITS), unit, (value) =>
    change(value === "format" ? { format: time.format || "%Y-%m-%d %H:%M:%S" } : { unit: value, format: null }));
  units.id = `unit-${field.name}`;
  const zoned = unit === "iso" || unit === "format";
  return [units,
    unit === "format" && typed(`${field.name}: format, as strptime has it`, time.format,
      (value) => note({ format: value }), { id: `format-${field.name}` }),
    zoned && typed(`${field.name}: time zone of times without one`, time.time_zone || "",
      (value) => note({ time_zone: value.trim() }),
      { id: `zone-${field.name}`, list: "zones", placeholder: "UTC, or Europe/Berlin" })];
}

function wordsForm(view, field, source) {
  const known = (view.mapping.values || {})[field.name] || {};
  const column = view.columns.find((one) => source.kind === "column" && one.name === source.value);
  const seen = column ? (column.samples || []).map(String) : [];
  const words = [...new Set([...Object.keys(known), ...seen])].slice(0, 100);
  const types = view.types || INTERACTION_TYPES;
  const meanings = [["", "as it stands"], ...types.map((word) => [word, word])];
  const other = typed(`${field.name}: another word of the file`, "", () => {}, { id: `more-${field.name}`,
    placeholder: "another word", onchange: (event) => event.target.value && view.change((mapping) =>
      setWord(mapping, field.name, event.target.value, types[0])) });
  return [words.map((word, place) => {
    const meant = known[word] || "";
    const options = meant && !types.includes(meant) ? [...meanings, [meant, meant]] : meanings;
    const select = picker(`what “${word}” means`, options, meant,
      (value) => view.change((mapping) => setWord(mapping, field.name, word, value)));
    select.id = `word-${field.name}-${place}`;
    return el("span", { class: "row" }, el("code", {}, word || "(empty)"), " → ", select);
  }), other];
}

function fileForm(view) {
  const { mapping } = view;
  const plain = (name, value) => view.note((edited) => setPlain(edited, name, value));
  const field = (label, id, control) => {
    control.id = id;
    control.removeAttribute("aria-label");
    return el("p", { class: "pair" }, el("label", { for: id }, label), control);
  };
  const isHeadless = mapping.header === "none";
  return more("How the file is written", () => [
    field("Encoding", "file-encoding", typed("", mapping.encoding || "", (value) => plain("encoding", value.trim()),
      { list: "encodings", placeholder: "told from the file" })),
    field("Delimiter (or “tab”)", "file-delimiter", typed("", shownMark(mapping.delimiter),
      (value) => plain("delimiter", typedMark(value)), { placeholder: "told from the file" })),
    field("Decimal mark", "file-decimal", picker("", [[".", "point: 1.50"], [",", "comma: 1,50"]],
      mapping.decimal || ".", (value) => plain("decimal", value === "." ? "" : value))),
    field("Lines before the header that are not read", "file-skip", typed("", mapping.skip_lines || "0",
      (value) => plain("skip_lines", Number.parseInt(value, 10) || ""), { inputmode: "numeric" })),
    field("Lines that begin with this are no rows", "file-comment", typed("", mapping.comment || "",
      (value) => plain("comment", value), { maxlength: "1" })),
    field("Header", "file-header", picker("", [["first", "the first line"], ["none", "none"]],
      isHeadless ? "none" : "first", (value) => view.change((edited) => {
        if (value === "none") {
          edited.header = "none";
          edited.names = view.columns.map((column) => column.name);
        } else {
          delete edited.header;
          delete edited.names;
        }
      }))),
    isHeadless && field("Names of all columns, in order, with commas", "file-names", typed("",
      (mapping.names || []).join(", "),
      (value) => plain("names", value.split(",").map((name) => name.trim()).filter(Boolean)))),
  ], view.isFileOpen, (isOpen) => view.keepOpen(isOpen));
}

function handForm(view) {
  const area = el("textarea", { rows: "12", id: "by-hand", spellcheck: "false", "aria-describedby": "by-hand-fault" });
  const fault = el("p", { id: "by-hand-fault", role: "alert" });
  const content = () => [
    el("p", {}, el("label", { for: "by-hand" }, "The mapping, as settings have it: every setting can be given here.")),
    area, fault,
    el("p", {}, el("button", { type: "button", onclick: () => {
      let given;
      try { given = JSON.parse(area.value); } catch (error) {
        fault.replaceChildren(mark("bad", "That is not JSON."), ` ${error.message}`);
        return;
      }
      if (given === null || typeof given !== "object" || Array.isArray(given)) {
        fault.replaceChildren(mark("bad", "A mapping is an object: {…}."));
        return;
      }
      view.replace(given);
    } }, "Take this")),
  ];
  return more("All of the mapping, as JSON", () => {
    area.value = JSON.stringify(view.mapping, null, 2);
    return content();
  });
}
