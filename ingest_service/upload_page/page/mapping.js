// A source mapping as a tenant's settings have it, and what the form changes in it. What the form
// does not know of stays as it is.

const UNITS = {
  ms: "milliseconds since 1970", s: "seconds since 1970", us: "microseconds since 1970",
  iso: "ISO 8601 (2026-05-01T12:00:00Z)", format: "written as …",
};

const copy = (mapping) => JSON.parse(JSON.stringify(mapping || {}));

function sourceOf(mapping, field, columns) {
  if (mapping.constants && field in mapping.constants) {
    return { kind: "constant", value: mapping.constants[field] };
  }
  const column = mapping.columns && field in mapping.columns ? mapping.columns[field] : field;
  const isNamed = mapping.columns && field in mapping.columns;
  if (isNamed || columns.includes(column)) return { kind: "column", value: column };
  return { kind: "none", value: "" };
}

function drop(mapping, part, field) {
  if (!mapping[part]) return;
  delete mapping[part][field];
  if (!Object.keys(mapping[part]).length) delete mapping[part];
}

function setSource(mapping, field, source) {
  drop(mapping, "columns", field);
  drop(mapping, "constants", field);
  if (source.kind === "column" && source.value !== field) {
    mapping.columns = { ...mapping.columns, [field]: source.value };
  }
  if (source.kind === "constant") {
    mapping.constants = { ...mapping.constants, [field]: source.value };
  }
  if (source.kind === "none") {
    drop(mapping, "values", field);
    drop(mapping, "timestamps", field);
  }
}

function setWord(mapping, field, sent, meant) {
  const words = { ...((mapping.values || {})[field] || {}) };
  if (meant === "") delete words[sent];
  else words[sent] = meant;
  if (Object.keys(words).length) mapping.values = { ...mapping.values, [field]: words };
  else drop(mapping, "values", field);
}

const timeOf = (mapping, field) => ((mapping.timestamps || {})[field] || {});
const unitOf = (time) => (time.format ? "format" : time.unit || "ms");

function setTime(mapping, field, change) {
  const time = { ...timeOf(mapping, field), ...change };
  const unit = unitOf(time);
  if (unit !== "format") delete time.format;
  if (unit !== "format" && unit !== "iso") delete time.time_zone;
  if (!time.time_zone) delete time.time_zone;
  mapping.timestamps = { ...mapping.timestamps, [field]: time };
}

function setPlain(mapping, name, value) {
  if (value === "" || value === null || value === undefined) delete mapping[name];
  else mapping[name] = value;
}

// What keeps a mapping from being sent, in words; the service says the rest.
function faultsOf(mapping, fields, columns) {
  const missing = fields.filter((field) => field.required)
    .filter((field) => sourceOf(mapping, field.name, columns).kind === "none");
  const faults = missing.map((field) => `${field.name} needs a column of the file or a fixed value.`);
  const ids = Object.keys(mapping.values || {}).filter((field) => PEOPLE.includes(field));
  for (const field of ids) {
    faults.push(`${field} is mapped value by value: that has to be saved in the tenant's settings.`);
  }
  return faults;
}

const DELIMITERS = { "\t": "tab" };
const shownMark = (text) => DELIMITERS[text] || text || "";
const typedMark = (text) => (["tab", "\\t"].includes(text.trim()) ? "\t" : text);
