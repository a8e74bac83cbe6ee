/* Says at once whether a choice is right, and opens the answer when it is. Without this script the answers open by hand. */
"use strict";

document.querySelectorAll(".quiz-question").forEach((question) => {
  const verdict = question.querySelector(".quiz-verdict"), answer = question.querySelector("details");
  question.addEventListener("change", (event) => {
    const right = event.target.value === question.dataset.right;
    question.dataset.state = right ? "right" : "wrong";
    verdict.textContent = right ? "✓ Right." : "✗ Not this one. Choose again, or open the answer.";
    if (right) answer.open = true;
  });
});
