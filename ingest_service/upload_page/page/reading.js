// How the file is read: the mapping as it is now, its form, what is missing, and the text to save.

const form = el("div", {}), state = el("div", {}), saving = el("div", {}), blocked = el("p", { class: "quiet" });

// Changes the mapping; the form is drawn anew where other parts of it depend on that.
function edit(change, isRedrawn) {
  change(mapping);
  isChanged = true;
  savedName = "";
  fileName = uploadName();
  if (isRedrawn) drawForm();
  drawState();
}

function faultsNow() {
  const columns = (found.columns || []).map((column) => column.name);
  return savedName ? [] : faultsOf(mapping, FIELDS[found.data_type] || [], columns);
}

function drawMapping() {
  const candidates = ((found.encoding || {}).candidates || []).map((one) => one.name);
  const zones = Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [];
  const list = (id, names) => el("datalist", { id }, names.map((name) => el("option", { value: name })));
  drawForm();
  parts.mapping.replaceChildren(section("How it is read",
    "A proposal to adjust. It counts for this file; rows that are rejected keep it.",
    list("zones", zones), list("encodings", [...new Set([...candidates, "utf-8", "cp1252", "utf-16"])]), form,
    el("p", { class: "row" }, button("Look again with this", () => look({ draft: mapping, focus: "look-again" }),
      { id: "look-again" }), state),
    saving));
  drawState();
}

function drawForm() {
  const focused = document.activeElement && document.activeElement.id;
  form.replaceChildren(mappingForm({
    mapping, columns: found.columns || [], dataType: found.data_type, isFileOpen,
    types: found.interaction_types,
    change: (change) => edit(change, true),
    note: (change) => edit(change, false),
    keepOpen: (isOpen) => { isFileOpen = isOpen; },
    replace: (given) => {
      mapping = given;
      edit(() => {}, true);
      say("Taken: look at the file with it.");
    },
  }));
  const again = focused && document.getElementById(focused);
  if (again) again.focus();
}

function drawState() {
  const faults = faultsNow();
  state.replaceChildren(...[isChanged && mark("watch", "changed since the file was looked at"),
    ...faults.map((one) => el("p", {}, mark("bad", "missing"), ` ${one}`))].filter(Boolean));
  saving.replaceChildren(...[saveView(found, session, isChanged)].filter(Boolean));
  blocked.textContent = faults.length ? `First: ${faults.join(" ")}` : "";
  for (const id of ["dry", "send"]) {
    const act = document.getElementById(id);
    if (act) act.disabled = faults.length > 0 || sending !== null;
  }
  const byHand = document.getElementById("by-hand");
  if (byHand && byHand !== document.activeElement) byHand.value = JSON.stringify(mapping, null, 2);
}
