(() => {
  const section = document.getElementById("fetch");
  const answer = document.getElementById("answer");
  if (!section || !answer || !window.fetch) return;
  section.hidden = false;
  for (const button of section.querySelectorAll("button")) {
    button.addEventListener("click", async () => {
      answer.hidden = false;
      answer.textContent = "…";
      try {
        const options = { credentials: button.dataset.credentials, headers: { Accept: "application/json" }, redirect: "manual" };
        const response = await fetch("/api/me", options);
        const text = await response.text();
        let body = text;
        try { body = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
        answer.textContent = `GET /api/me  ${response.status || response.type}\n\n${body}`;
      } catch (error) {
        answer.textContent = `GET /api/me  failed: ${error.message}`;
      }
    });
  }
})();
