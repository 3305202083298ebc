// The page: a key, a file, what it is, how it is to be read, and what came of it. The key is a
// variable of this page: it is gone with the tab, and with a reload.

let session = null;
let file = null, found = null, isAll = true, mapping = {}, isChanged = false, fileName = "";
let savedName = "";  // of the mapping in the settings that is used as it stands
let looking = null, sending = null, isFileOpen = false, onError = "reject", asked = 0;

const bar_ = el("header", {});
const main = el("main", {});
const said = el("p", { role: "status", class: "unseen", id: "said" });
const parts = Object.fromEntries(["choice", "inspection", "mapping", "sending", "batches", "rejects"]
  .map((name) => [name, el("div", { id: `part-${name}` })]));
const say = (words) => { said.textContent = words; };
const button = (words, act, attributes) => el("button", { type: "button", onclick: act, ...attributes }, words);

const entry = {
  title: "Upload files",
  about: "Enter an API key of your tenant with the scope ingest. It stays in this page alone, until you close or " +
    "reload it.",
  act: "Continue",
  take: start,
  refuse: (error) => show(keyForm(entry, error)),
};

function show([content, then]) {
  main.replaceChildren(...[content].flat(Infinity).filter(Boolean));
  if (then) then();
}

async function start(key) {
  try {
    const facts = await (await askService("/v1/key", key)).json();
    session = { key, tenant: facts.tenant_id, scopes: facts.scopes, mappings: facts.mappings };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    show(keyForm(entry, error));
    return;
  }
  document.title = `${session.tenant} · upload · eta`;
  drawHeader();
  drawChoice();
  show([[el("h1", { tabindex: "-1" }, `Upload for ${session.tenant}`), rightsView(), ...Object.values(parts)],
    () => main.querySelector("h1").focus()]);
  drawBatches();
}

function forget() {
  if (looking) looking.abort();
  if (sending) sending.cancel();
  session = file = found = null;
  mapping = {};
  for (const part of Object.values(parts)) part.replaceChildren();
  document.title = "eta · upload";
  drawHeader();
  show(keyForm(entry, null));
}

function rightsView() {
  const rights = [["ingest", "look at files, upload them, take corrected rows in"],
    ["quarantine", "download rejected rows as they were sent"]];
  const missing = rights.filter(([scope]) => !may(session, scope));
  if (!missing.length) return null;
  return el("section", { class: "card" }, el("h2", {}, "What this key may do"),
    el("ul", {}, rights.map(([scope, words]) => el("li", {}, may(session, scope) ? mark("good", "may") : mark("none", "may not"),
      ` ${words} `, may(session, scope) ? "" : [" — ", ...askFor(session, scope)]))));
}

function drawChoice() {
  if (!may(session, "ingest")) return;
  const input = el("input", { type: "file", id: "file", onchange: () => input.files.length && choose(input.files[0]) });
  const zone = el("div", { class: "drop" }, el("p", {}, el("label", { for: "file" }, "Choose a file, or drop it here")), input);
  const over = (isOver) => (event) => { event.preventDefault(); zone.classList.toggle("over", isOver); };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    const dropped = event.dataTransfer.files;
    if (dropped.length > 1) say("Only the first of the files is taken.");
    if (dropped.length) choose(dropped[0]);
  });
  parts.choice.replaceChildren(section("The file", null, zone, el("p", { class: "row" },
    el("label", { for: "data-type" }, "Its rows are"),
    el("select", { id: "data-type", onchange: () => file && look({}) }, option("", "told from its columns", true),
      Object.keys(FIELDS).map((name) => option(name, name, false))),
    session.mappings.length ? [el("label", { for: "saved" }, "read with"),
      el("select", { id: "saved", onchange: () => file && look({}) }, option("", "a proposed mapping", true),
        session.mappings.map((name) => option(name, `the saved mapping ${name}`, false)))] : null)));
}

const chosen = (id) => { const node = document.getElementById(id); return node ? node.value : ""; };

function choose(picked) {
  if (sending) {
    const words = "An upload is under way: wait for its end or cancel it, then choose another file.";
    say(words);
    document.getElementById("outcome").replaceChildren(el("p", { class: "card notice" }, words));
    return;
  }
  file = picked;
  mapping = {};
  found = null;
  fileName = uploadName();
  isFileOpen = false;
  look({});
}

// Looks at the file: with a draft of a mapping, the one that is saved, or for a proposal.
async function look({ draft, focus }) {
  if (looking) looking.abort();
  looking = new AbortController();
  const mine = ++asked;
  if (!draft) parts.mapping.replaceChildren();
  parts.sending.replaceChildren();
  parts.inspection.replaceChildren(section("What it is", null, el("p", {}, `Looking at ${file.name}…`)));
  say(`Looking at ${file.name}`);
  try {
    const options = { data_type: chosen("data-type") || (draft && found ? found.data_type : ""),
      mapping: draft ? "" : chosen("saved"), draft: draft ? JSON.stringify(draft) : "" };
    isAll = (await startOf(file)).isAll;
    const answer = await inspect(session, file, options, looking.signal);
    if (mine !== asked) return;
    found = answer;
    mapping = copy(draft || answer.proposed_mapping);
    isChanged = false;
    savedName = options.mapping;
    drawFound();
    say(parts.inspection.querySelector(".hero").textContent);
  } catch (error) {
    if (mine !== asked || error.name === "AbortError") return;
    if (!(error instanceof Refused)) throw error;
    parts.inspection.replaceChildren(refusalCard(error));
    if (found) drawMapping();  // a draft that was refused can be corrected
    say("The file could not be looked at.");
  }
  if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
}

function drawFound() {
  parts.inspection.replaceChildren(section("What it is", file.name, inspectionView(found, {
    isAll,
    answer: (answered) => look({ draft: copy(answered) }),
    pickEncoding: (name) => look({ draft: { ...mapping, encoding: name } }),
  })));
  drawMapping();
  drawSending();
}

function drawSending() {
  const radio = (value, words) => el("label", { class: "choice" }, el("input", { type: "radio", name: "on-error", value,
    checked: value === onError, onchange: () => { onError = value; } }), words);
  parts.sending.replaceChildren(section("Upload", null,
    el("fieldset", {}, el("legend", {}, "If a row is wrong"),
      radio("reject", "store nothing"), radio("quarantine", "store the good rows, keep the wrong ones aside")),
    el("p", { class: "row" },
      button("Dry run: read all, store nothing", () => send(true), { id: "dry" }),
      button(`Upload ${size(file.size)}`, () => send(false), { id: "send", class: "main" })),
    blocked, el("div", { id: "progress" }), el("div", { id: "outcome" })));
  drawState();
}

async function send(isDry) {
  if (sending) return;
  const outcome = document.getElementById("outcome"), box = document.getElementById("progress");
  const saved = savedName;
  const options = query({ tenant_id: session.tenant, data_type: found.data_type, on_error: onError, async: "true",
    dry_run: isDry ? "true" : null, mapping: saved });
  const route = ROUTES[(found.format || {}).name || "csv"] || ANY;
  const bar = el("progress", { max: "100", value: "0", "aria-label": "Progress" });
  const words = el("span", {});
  let isWanted = true;
  const stop = button("Cancel", () => sending && sending.cancel(), { id: "cancel" });
  const progress = (part, text_) => { bar.value = part; words.textContent = text_; };
  outcome.replaceChildren();
  box.replaceChildren(el("p", { class: "row" }, bar, words, stop));
  for (const id of ["dry", "send"]) document.getElementById(id).disabled = true;
  stop.focus();
  say(isDry ? "The dry run has begun." : "The upload has begun.");
  const name = `${fileName}-${isDry ? "dry" : "store"}-${onError}-${saved}`;
  const way = transfer(`${route}?${options}`, session, formOf(file, saved ? null : mapping), name,
    (sent, total) => progress((sent / total) * 50, `${size(sent)} of ${size(total)} sent`));
  sending = { cancel: () => { isWanted = false; way.cancel(); } };
  try {
    const job = await way.done;
    // From here the service has the file: leaving does not stop it.
    stop.textContent = "Stop waiting";
    progress(50, "The service has the file and reads it");
    const ended = await followed(session, job.url, (now) => {
      const { bytes_read: read, bytes_total: total, rows_read: rows } = now.progress || {};
      progress(50 + (total ? (read / total) * 50 : 0), total ? `${count(rows)} rows read` : "It waits for its turn");
    }, () => isWanted);
    box.replaceChildren();
    outcome.replaceChildren(resultView(session, ended, isDry));
    say(outcome.textContent.slice(0, 300));
  } catch (error) {
    box.replaceChildren();
    outcome.replaceChildren(brokenOff(error, stop.textContent !== "Cancel", isDry));
  } finally {
    sending = null;
    if (found) drawState();
  }
  const told = outcome.querySelector("h2, h3");
  if (told) { told.tabIndex = -1; told.focus(); }
  drawBatches();
}

function brokenOff(error, isTaken, isDry) {
  if (error instanceof Cancelled) {
    const words = isTaken
      ? "The service has the file and goes on with it: the batches below say what came of it."
      : "Cancelled: nothing of the file is stored.";
    say(words);
    return el("p", { class: "card" }, words);
  }
  if (!(error instanceof Refused)) throw error;
  const card = refusalCard(error);
  if (error.status === 0) card.append(el("p", {}, button("Send again", () => send(isDry))));
  return card;
}

async function drawBatches() {
  const title = (...inside) => section("Sent before", null, ...inside);
  const view = { say, refresh: drawBatches, openRejects };
  if (!parts.batches.childElementCount) parts.batches.replaceChildren(title(el("p", {}, "Reading…")));
  const mine = session;
  try {
    const content = await batchesView(session, view);
    if (mine === session) parts.batches.replaceChildren(title(content));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (mine === session) parts.batches.replaceChildren(title(refusalCard(error)));
  }
}

async function openRejects(batch) {
  parts.rejects.replaceChildren(el("p", { class: "card" }, "Reading…"));
  try {
    parts.rejects.replaceChildren(await rejectsView(session, batch, { say, refresh: drawBatches }));
    parts.rejects.querySelector("h2").focus();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    parts.rejects.replaceChildren(refusalCard(error));
  }
}

const theme = themeButton();

function drawHeader() {
  bar_.replaceChildren(...[
    el("span", { class: "name" }, "eta · upload"),
    session && button("Refresh batches", drawBatches),
    theme,
    session && button("Forget the key", forget),
  ].filter(Boolean));
}

addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });
// a file that is dropped beside the zone would be opened in the place of the page
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
document.body.replaceChildren(bar_, said, main, el("footer", {},
  "What you look at is not stored. An upload is stored as a whole or not at all, or its good rows, as you choose."));
drawHeader();
show(keyForm(entry, null));
