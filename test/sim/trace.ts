import type { CoordinatorMessage, SiteMessage } from '../../shared/messages.js';

/** One line of a transcript: what a message says. */
export function summaryOf(message: CoordinatorMessage | SiteMessage): string {
  switch (message.type) {
    case 'preKeyRequest':
      return `preKeyRequest, slot ${message.slot}`;
    case 'preKeyAnswer':
      return `preKeyAnswer, slot ${message.preKey.slot}`;
    case 'attemptOffer':
      return `attemptOffer, round ${message.round}, attempt ${message.attempt}, slot ${message.slot}`;
    case 'maskedInput':
      return `maskedInput with pre-key for slot ${message.nextPreKey?.slot ?? 'none'}`;
    case 'survivorsProposal':
      return `survivorsProposal: ${message.survivors.join(', ')} leaving out ${message.dropped.join(', ') || 'nobody'}`;
    case 'unmaskRequest':
      return `unmaskRequest, signed by ${message.signatures.map((signature) => signature.site).join(', ')}`;
    case 'sharesReleased':
      return `sharesReleased: ${message.shares.map((share) => `${share.dealer} ${share.kind}`).join(', ')}`;
    case 'attemptClosed':
      return `attemptClosed, ${message.outcome}`;
    case 'siteRefusal':
      return `siteRefusal, ${message.code}`;
    default:
      return message.type;
  }
}
