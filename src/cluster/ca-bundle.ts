import type { X509Certificate } from "node:crypto";
import type { Operation } from "fast-json-patch";
import type { KeyPair } from "../webhook/tls/key-pair.ts";
import type { ClusterNames, WebhookConfiguration } from "./api-server.ts";
import { parseCertificates } from "./authorities.ts";

type Owner = Pick<ClusterNames, "namespace" | "service">;

/** The entries that lead to our Service; those of others are none of our business. */
function ownWebhooks(
  configuration: WebhookConfiguration,
  { namespace, service }: Owner,
): readonly { readonly index: number; readonly name: string; readonly caBundle: string }[] {
  return configuration.webhooks.flatMap(({ name, service: target, caBundle }, index) =>
    target?.namespace === namespace && target.name === service ? [{ index, name, caBundle }] : [],
  );
}

/** What our entries have, PEM; undefined: there is no MutatingWebhookConfiguration. */
export function ownBundles(
  configuration: WebhookConfiguration | undefined,
  owner: Owner,
): readonly string[] | undefined {
  return configuration && ownWebhooks(configuration, owner).map(({ caBundle }) => caBundle);
}

/**
 * The JSON patch that gives our entries this bundle; empty where they have it.
 *
 * Each change tests the entry's name first, so that it fails where entries have moved meanwhile.
 * @param bundle PEM.
 */
export function bundlePatch(
  configuration: WebhookConfiguration,
  owner: Owner,
  bundle: string,
): readonly Operation[] {
  const value = Buffer.from(bundle).toString("base64");
  return ownWebhooks(configuration, owner)
    .filter(({ caBundle }) => caBundle !== bundle)
    .flatMap(({ index, name }): Operation[] => [
      { op: "test", path: `/webhooks/${index}/name`, value: name },
      { op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value },
    ]);
}

/**
 * Whether API servers believe a certificate that our Service serves; if not, why not.
 * @param bundles what our entries have; undefined: there is no MutatingWebhookConfiguration.
 */
export function publishedState(
  bundles: readonly string[] | undefined,
  { namespace, service, webhookConfiguration }: ClusterNames,
  { certificatePem }: Pick<KeyPair, "certificatePem">,
  now: Date,
): true | string {
  if (bundles === undefined) return `there is no MutatingWebhookConfiguration ${webhookConfiguration}`;
  if (bundles.length === 0)
    return `no entry of MutatingWebhookConfiguration ${webhookConfiguration} leads to Service ${namespace}/${service}`;
  return (
    bundles.map((bundle) => distrust(bundle, certificatePem, now)).find((reason) => reason !== undefined) ??
    true
  );
}

/**
 * Why a client that trusts this bundle would not believe a server's certificate; undefined if it would.
 * @param bundle PEM.
 * @param certificatePem the server's certificate, then those that lead to its CA, if any.
 */
export function distrust(bundle: string, certificatePem: string, now: Date): string | undefined {
  const [served, ...chain] = parseCertificates(certificatePem);
  if (served === undefined) return "there is no certificate";
  if (now > served.validToDate) return `the certificate expired at ${served.validToDate.toISOString()}`;
  if (now < served.validFromDate)
    return `the certificate is not valid before ${served.validFromDate.toISOString()}`;
  const roots = parseCertificates(bundle);
  if (roots.length === 0) return "caBundle is empty";
  const trusted = (certificate: X509Certificate, intermediates: readonly X509Certificate[]): boolean => {
    const issued = (issuer: X509Certificate): boolean =>
      certificate.checkIssued(issuer) &&
      certificate.verify(issuer.publicKey) &&
      now >= issuer.validFromDate &&
      now <= issuer.validToDate;
    if (roots.some((root) => issued(root) || root.fingerprint256 === certificate.fingerprint256)) return true;
    return intermediates.some(
      (issuer, index) => issued(issuer) && trusted(issuer, intermediates.toSpliced(index, 1)),
    );
  };
  return trusted(served, chain) ? undefined : "caBundle does not verify the certificate";
}
