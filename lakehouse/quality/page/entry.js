// What the service's pages share: asking it with a key, what it refuses, and the form for a key.

class Refused extends Error {
  constructor(message, remedy, status, body) {
    super(message);
    this.remedy = remedy;
    this.status = status;
    this.body = body || {};
  }
}

const refusal = (status, body) =>
  new Refused(body.detail || `The service answered ${status}.`, body.remedy || "", status, body);

async function askService(path, key, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      ...options, headers: { ...options.headers, Authorization: `Bearer ${key}` },
      credentials: "omit", cache: "no-store", redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The service does not answer.", "Is it running? Try again in a moment.", 0);
  }
  if (answer.ok) return answer;
  throw refusal(answer.status, await answer.json().catch(() => ({})));
}

// `page` has title, about, act (the button), take(key), refuse(error).
function keyForm(page, error) {
  const input = el("input", { type: "password", id: "key", autocomplete: "off", required: true,
    spellcheck: "false", "aria-describedby": "key-about" });
  const form = el("form", { class: "card", onsubmit: (event) => {
    event.preventDefault();
    const given = input.value.trim();
    if (/^[\x21-\x7e]+$/.test(given)) page.take(given);
    else page.refuse(new Refused("That is no key.", "A key has no spaces and begins with eta_.", 0));
  } },
    el("h1", {}, page.title),
    el("p", { id: "key-about" }, page.about),
    error && el("p", { role: "alert" }, mark("bad", error.message), " ", error.remedy),
    el("p", {}, el("label", { for: "key" }, "Key")),
    el("div", { class: "row" }, input, el("button", { type: "submit" }, page.act)));
  return [form, () => input.focus()];
}

function refusalCard(error) {
  return el("div", { class: "card notice bad", role: "alert" },
    el("h2", {}, "That did not work"), el("p", {}, error.message, " ", error.remedy));
}
