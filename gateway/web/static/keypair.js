// A key pair made in this browser. The secret half goes into a file on this computer and nowhere else.
import { generateX25519Identity, identityToRecipient } from "/static/vendor/age.js";

document.getElementById("make-pair").addEventListener("click", async () => {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const text = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `trial-data-key-${recipient.slice(4, 12)}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
  const field = document.getElementById("f-key");
  field.value = field.value.trim() ? `${field.value.trim()}\n${recipient}` : recipient;
  const told = document.getElementById("pair-told");
  told.hidden = false;
  told.focus();
});
