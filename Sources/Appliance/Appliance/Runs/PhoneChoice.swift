package import BackupCore

/// Which phones a run is for.
package enum PhoneChoice: Hashable, Sendable {
    /// Every phone that is plugged in.
    case any
    case phone(PhoneID)
    case bay(BayID)

    /// Reads what a person gave as `--phone`: a bay (`1-4.2`, or one made up for an iPhone whose
    /// socket is not known) or a phone's id; nil when it can be neither.
    package init?(_ text: String) {
        if Self.isBay(text), let bay = BayID(rawValue: text) {
            self = .bay(bay)
        } else if let phone = PhoneID(rawValue: text) {
            self = .phone(phone)
        } else {
            return nil
        }
    }

    /// A bus number, a hyphen, and port numbers with dots between.
    private static func isBay(_ text: String) -> Bool {
        if text.hasPrefix("mux-") { return true }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return false }
        return ([parts[0]] + parts[1].split(separator: ".", omittingEmptySubsequences: false))
            .allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    }
}
