"use strict";
// The editor of questions: Ctrl+Enter asks, and a column's name goes where the cursor is. All else works without.
{
  const form = document.querySelector("[data-ask]");
  const editor = form.querySelector("textarea");
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector("button[value=run]"));
    }
  });
  for (const button of document.querySelectorAll("[data-insert]")) {
    button.addEventListener("click", () => {
      editor.setRangeText(button.dataset.insert, editor.selectionStart, editor.selectionEnd, "end");
      editor.focus();
    });
  }
}
