// Rejected rows of a batch: by reason, to download, corrected, once more.

const may = (session, scope) => session.scopes.includes(scope);
const askFor = (session, scope) =>
  [`This key may not: it takes the scope ${scope}. Ask the operator for a key: `,
    el("code", {}, `eta keys create ${session.tenant} --scope ${scope}`)];

// `view`: say(text), refresh().
async function rejectsView(session, batch, view) {
  const base = `/v1/tenants/${encodeURIComponent(session.tenant)}/ingest/quarantine`;
  const found = await (await askService(`${base}?${query({ batch_id: batch })}`, session.key)).json();
  const outcome = el("div", { role: "status" });
  const card = el("section", { class: "card", "aria-label": `Rejected rows of batch ${batch}` },
    el("h2", { tabindex: "-1" }, "Rejected rows"),
    el("p", { class: "quiet" }, "Of batch ", el("code", {}, batch), `: ${count(found.rows)} are open. ` +
      "A row with several reasons is in several counts."),
    found.reasons.length
      ? table("Rejected rows by reason", ["reason", "field", numeric("rows"), { title: "what to do", class: "words" }],
        found.reasons.map((one) => [code(one.code), one.field ? code(one.field) : "–",
          { class: "number", value: count(one.rows) },
          { class: "words", value: [one.meaning, one.remedy].filter(Boolean).join(": ") }]))
      : el("p", {}, "No row is open: all were taken in."),
    found.rows ? [downloadPart(session, base, batch, outcome), correctPart(session, base, view, outcome),
      replayPart(session, base, batch, view, outcome)] : null,
    outcome);
  return card;
}

const attempt = (outcome, work) => async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  outcome.replaceChildren(el("p", {}, "One moment…"));
  try { outcome.replaceChildren(await work()); } catch (error) {
    if (!(error instanceof Refused)) throw error;
    outcome.replaceChildren(refusalCard(error));
  } finally { button.disabled = false; }
};

function downloadPart(session, base, batch, outcome) {
  const isAllowed = may(session, "quarantine");
  return el("div", {}, el("h3", {}, "1. Download them, as they were sent"),
    isAllowed
      ? el("p", {}, el("button", { type: "button", onclick: attempt(outcome, async () => {
        const answer = await askService(`${base}/rows.csv?${query({ batch_id: batch })}`, session.key);
        saveFile(await answer.blob(), `rejected-${batch}.csv`);
        return el("p", {}, "Downloaded. The file holds personal data: delete it when you are done.");
      }) }, "Download rejected rows"), " The download is noted in the audit log.")
      : el("p", {}, mark("none", "not with this key"), askFor(session, "quarantine"),
        ". Without it: correct the rows in your own file and upload that again; what is stored is not stored twice."));
}

function correctPart(session, base, view, outcome) {
  const input = el("input", { type: "file", id: "corrected", accept: ".csv,text/csv" });
  return el("div", {}, el("h3", {}, "2. Correct them in the file, and take it in"),
    el("p", { class: "quiet" }, "Keep its first three columns; lines may be left out."),
    may(session, "ingest")
      ? el("p", { class: "row" }, el("label", { for: "corrected" }, "Corrected file"), input,
        el("button", { type: "button", onclick: attempt(outcome, async () => {
          if (!input.files.length) throw new Refused("No file is chosen.", "Choose the corrected download.", 0);
          const form = new FormData();
          form.append("file", input.files[0], "rejected-rows.csv");
          return replayed(await askService(`${base}/corrections`, session.key, { method: "POST", body: form }), view);
        }) }, "Take corrected rows in"))
      : el("p", {}, mark("none", "not with this key"), askFor(session, "ingest"), "."));
}

function replayPart(session, base, batch, view, outcome) {
  const select = el("select", { id: "replay-mapping" }, option("", "the one that each row came with", true),
    session.mappings.map((name) => option(name, name, false)));
  return el("div", {}, el("h3", {}, "Or: try them again after the settings were changed"),
    may(session, "ingest")
      ? el("p", { class: "row" }, el("label", { for: "replay-mapping" }, "Mapping"), select,
        el("button", { type: "button", onclick: attempt(outcome, async () => replayed(
          await askService(`${base}/replay?${query({ batch_id: batch, mapping: select.value })}`, session.key,
            { method: "POST" }), view)) }, "Replay"))
      : el("p", {}, mark("none", "not with this key"), askFor(session, "ingest"), "."));
}

async function replayed(answer, view) {
  const found = await answer.json();
  const sum = (name) => found.batches.reduce((total, batch) => total + batch[name], 0);
  const open = sum("still_open");
  const refusals = [...new Set(found.batches.map((batch) => batch.refusal).filter(Boolean))];
  const codes = found.batches.flatMap((batch) => Object.entries(batch.still_open_by_code));
  view.refresh();
  view.say(`${count(sum("stored"))} rows stored, ${count(open)} still open`);
  return [
    el("p", {}, mark(open || found.not_open || !sum("tried") ? "watch" : "good",
      `${count(sum("stored"))} stored, ${count(sum("duplicate"))} known already, ${count(open)} still rejected`)),
    codes.length ? el("p", {}, "Still: ", codes.map(([name, times]) => [code(name), ` ${count(times)} `])) : null,
    found.not_open ? el("p", {}, `${count(found.not_open)} rows of the file are not open: taken in before, or never here.`) : null,
    !found.batches.length ? el("p", {}, "There was nothing to try.") : null,
    refusals.map((one) => el("p", { role: "alert" }, mark("bad", "not tried"), ` ${one}`)),
  ].flat().filter(Boolean).reduce((box, node) => { box.append(node); return box; }, el("div", {}));
}
