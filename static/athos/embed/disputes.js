// "I see it differently": the rep says so beside a check, and the manager answers.

/** Ties the forms inside `root` to `send(checkKey, text)`. */
export function bindDisputes(root, send) {
  root.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-dispute]");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector("button");
    const said = form.querySelector("[data-dispute-said]");
    button.disabled = true;
    try {
      await send(form.dataset.dispute, form.elements.text.value);
      const thanks = document.createElement("p");
      thanks.className = "hint";
      thanks.setAttribute("role", "status");
      thanks.textContent = "Sent. Your manager will look at it.";
      form.closest("details").replaceWith(thanks);
    } catch {
      button.disabled = false;
      said.textContent = "That did not work. Try again in a moment.";
    }
  });
}
