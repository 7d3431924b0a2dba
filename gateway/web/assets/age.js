// The one thing the pages need of age: a key pair, made in the browser.
export { generateX25519Identity, identityToRecipient } from "age-encryption";
