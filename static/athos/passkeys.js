// Forms that a passkey answers: data-passkey is "sign-in", "confirm" or "add". Without JavaScript, or
// where the browser knows no passkeys, those that offer one beside another way stay hidden.
const json = window.webauthnJSON;

const options = async (form) => {
  if (form.dataset.passkey !== "sign-in")
    return JSON.parse(document.getElementById("passkey-options").textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
};

const credential = async (form) => {
  const { request_options: request, creation_options: creation } = await options(form);
  if (form.dataset.passkey !== "add") return json.get(request);
  const alone = form.elements.passwordless.checked;
  Object.assign(creation.publicKey.authenticatorSelection, {
    residentKey: alone ? "required" : "discouraged",
    requireResidentKey: alone,
    ...(alone && { userVerification: "required" }),
  });
  return json.create(creation);
};

const ask = async (form) => {
  const problem = form.querySelector("[data-said]");
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    form.elements.credential.value = JSON.stringify(await credential(form));
    form.submit();
  } catch (cause) {
    const unasked = cause.name === "NotAllowedError" || cause.name === "AbortError";
    problem.textContent = unasked
      ? "Nothing was confirmed. Try again."
      : "That did not work with this passkey. Try another way.";
    problem.hidden = false;
    button.disabled = false;
  }
};

if (json?.supported()) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void ask(form);
    });
  }
}
