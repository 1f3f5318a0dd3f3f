/// A short name that is safe as a file name, a restic tag and a word in a log: 1 to 64 bytes of
/// `[A-Za-z0-9._-]`, never starting with a dot.
///
/// Strings that come from a phone, a drive or a person become identifiers only through the
/// failable initialiser, so a hostile one cannot become a path.
package protocol Identifier: RawRepresentable, Hashable, Sendable, Comparable,
    CustomStringConvertible
where RawValue == String {
    /// Wraps text that `identifierIsValid(_:)` has accepted.
    init(trusted: String)
}

/// Whether `text` may be an identifier (see ``Identifier``).
package func identifierIsValid(_ text: String) -> Bool {
    let bytes = text.utf8
    guard (1...64).contains(bytes.count), bytes.first != UInt8(ascii: ".") else { return false }
    return bytes.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "."):
            true
        default: false
        }
    }
}

extension Identifier {
    /// The identifier, or nil when `rawValue` is not one.
    package init?(rawValue: String) {
        guard identifierIsValid(rawValue) else { return nil }
        self.init(trusted: rawValue)
    }

    package var description: String { rawValue }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// One phone for ever: `<family>-<16 hex digits>` of SHA-256(set id, device identity).
package struct PhoneID: Identifier {
    package let rawValue: String
    package init(trusted: String) { rawValue = trusted }
}

/// The person whose phones share one repository; the name of the repository's folder.
package struct OwnerID: Identifier {
    package let rawValue: String
    package init(trusted: String) { rawValue = trusted }
}

/// One enrolled filesystem, whatever its path is today.
package struct DriveID: Identifier {
    package let rawValue: String
    package init(trusted: String) { rawValue = trusted }
}

/// The drives that hold the same repositories.
package struct DriveSetID: Identifier {
    package let rawValue: String
    package init(trusted: String) { rawValue = trusted }
}

/// One attempt to back up, restore, check or heal.
package struct RunID: Identifier {
    package let rawValue: String
    package init(trusted: String) { rawValue = trusted }
}

/// A USB socket by its port chain, `1-4.2`: stable across replugs, unlike bus addresses.
package struct BayID: Identifier {
    package let rawValue: String
    package init(trusted: String) { rawValue = trusted }
}

/// The kind of phone, which decides the device library and the journey.
package enum PhoneFamily: String, Sendable, CaseIterable {
    case android
    case iphone
}

/// One kind of content of a run.
package enum Capture: String, Sendable, CaseIterable {
    /// Files: MTP storages, or the media folder over AFC.
    case media
    /// Apple's own full backup (mobilebackup2).
    case backup
}
