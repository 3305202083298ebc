// The page that the service serves: a key, the tenants it may see, one tenant's report. The key
// stays in this tab (sessionStorage) and goes nowhere but into the header of a request.

const KEY = "eta.key";
const main = el("main", {});
const bar_ = el("header", {});
const told = el("div", {});
let asked = 0;

const key = () => sessionStorage.getItem(KEY);
const get = async (path) => (await askService(path, key())).json();

const entry = {
  title: "Data quality",
  about: "Enter an API key with the scope read or admin to see your tenant, or the operator's token " +
    "to see all. It stays in this tab until you close it.",
  act: "Show",
  take: (given) => { sessionStorage.setItem(KEY, given); render(); },
  refuse: (error) => show(keyForm(entry, error)),
};

function show([content, then]) {
  main.replaceChildren(...[content].flat(Infinity).filter(Boolean));
  if (then) then();
}

function overviewView(overview) {
  const rows = overview.tenants.map((tenant) => {
    const kinds = Object.fromEntries(tenant.data_types.map((kind) => [kind.data_type, kind]));
    const fresh = (name) => (kinds[name] ? freshnessMark(kinds[name]) : "–");
    return [
      el("button", { class: "link", type: "button", onclick: () => go(tenant.tenant_id) },
        tenant.tenant_id),
      percent(tenant.score), { class: "bars", value: tenant.score === null ? null : bar(tenant.score / 100) },
      scoreMark(tenant.score),
      fresh("interactions"), fresh("items"), fresh("clickstream"),
      tenant.passed === null ? mark("none", "not checked")
        : tenant.passed ? mark("good", "passed") : mark("bad", "held back"),
      { class: "time", value: time(tenant.checked_at) },
    ];
  });
  return [
    el("h1", { tabindex: "-1" }, "Tenants"),
    el("p", { class: "quiet" }, `The last ${overview.days} days, as of ` +
      `${time(overview.generated_at)} UTC; the lowest score first. By data type: the age of the ` +
      "newest batch, of the age it may have."),
    overview.unread.map((text) => el("p", { class: "card notice", role: "status" }, mark("watch", text))),
    el("section", { class: "card" }, rows.length
      ? table("Score by tenant", ["tenant", numeric("score"), "", "", "interactions", "items",
        "clickstream", "last gate", "checked"], rows)
      : el("p", {}, "No tenant has sent anything in this time.")),
  ];
}

function go(tenant) {
  location.hash = tenant === null ? "" : `#${encodeURIComponent(tenant)}`;
}

const wanted = () => {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
};

// The card of a tenant's current snapshot, as a file: a link could not send the key.
async function saveCard(tenant, kind, button) {
  button.disabled = true;
  told.replaceChildren();
  try {
    const answer = await askService(
      `/v1/${kind}/cards/current?tenant_id=${encodeURIComponent(tenant)}`, key(),
      { headers: { Accept: "text/html" } });
    const address = URL.createObjectURL(await answer.blob());
    el("a", { href: address, download: `${tenant}-${kind}-card.html` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    told.replaceChildren(el("p", { class: "card", role: "status" },
      `Saved: ${tenant}-${kind}-card.html.`));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    told.replaceChildren(refusalCard(error));
  } finally {
    button.disabled = false;
  }
}

async function render() {
  const mine = ++asked;
  told.replaceChildren();
  drawHeader(false, "");
  if (!key()) return show(keyForm(entry, null));
  show([el("p", { class: "card", role: "status" }, "Reading…")]);
  let content, isOne = false, tenant = wanted();
  try {
    if (!tenant) {
      const overview = await get("/v1/quality");
      isOne = overview.tenants.length === 1;
      if (isOne) tenant = overview.tenants[0].tenant_id;
      else content = overviewView(overview);
    }
    if (tenant) content = reportView(await get(`/v1/tenants/${encodeURIComponent(tenant)}/quality`));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (mine !== asked) return undefined;
    if (error.status === 401) {
      sessionStorage.removeItem(KEY);
      return show(keyForm(entry, error));
    }
    content = refusalCard(error);
  }
  if (mine !== asked) return undefined;
  drawHeader(!isOne && wanted() !== "", content instanceof Node ? "" : tenant);
  document.title = wanted() ? `${wanted()} · data quality · eta` : "eta · data quality";
  return show([content, () => (main.querySelector("h1, h2") || main).focus()]);
}

const theme = themeButton();

function drawHeader(hasBack, tenant) {
  const hasKey = Boolean(key());
  const button = (text, act) => el("button", { type: "button", onclick: act }, text);
  const card = (text, kind) => button(text, (event) => saveCard(tenant, kind, event.currentTarget));
  bar_.replaceChildren(...[
    el("span", { class: "name" }, "eta · data quality"),
    hasBack && button("All tenants", () => go(null)),
    hasKey && tenant && card("Card of the training set", "training"),
    hasKey && tenant && card("Card of the evaluation snapshot", "evaluation"),
    hasKey && button("Refresh", render),
    theme,
    hasKey && button("Forget the key", () => { sessionStorage.removeItem(KEY); go(null); render(); }),
  ].filter(Boolean));
}

document.body.replaceChildren(bar_, told, main, el("footer", {},
  "No user, item or event is named here: rows that a check shows are masked."));
addEventListener("hashchange", render);
render();
