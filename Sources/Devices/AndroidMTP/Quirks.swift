/// What this lane does differently for particular phones.
///
/// libmtp's own table, by vendor and product, gives the flags of the phones it knows. Only what
/// that table cannot know stands here.
enum Quirks {
    /// `DEVICE_FLAG_BROKEN_MTPGETOBJPROPLIST` of libmtp's device-flags.h: ask for each property,
    /// not for all of an object's at once.
    static let noPropertyLists: UInt32 = 0x0000_0004

    /// The flags for a phone that libmtp does not know. It would take none, and switch the Android
    /// set on only in one of its two copies; then an object whose property list (0x9805) fails is
    /// lost from every listing. Asking for the size alone costs one round trip more and loses
    /// nothing.
    static let unknownPhone = noPropertyLists

    /// The name libmtp makes up for an object whose details came without one.
    static let nameOfTheNameless = Array("<none>".utf8)

    /// An unknown size: 32-bit ObjectInfo of a file of 4 GiB or more.
    static let unknownSize: UInt64 = 0xFFFF_FFFF

    /// Where the reading of a file of unknown size ends: 1 TiB, more than any phone holds.
    static let largestUnknown: UInt64 = 1 << 40
}

/// Response codes that decide something here (MTP 1.1, appendix F, "Responses"), and libmtp's own
/// codes below 0x1000 (ptp.h).
enum PTPCode {
    static let sessionNotOpen = 0x2003
    static let invalidStorage = 0x2008
    static let invalidObject = 0x2009
    static let storeNotAvailable = 0x2013
    static let deviceBusy = 0x2019
    /// libmtp: data was expected and a response came, so the phone refused.
    static let dataExpected = 0x02FE

    /// Whether the storage has gone: the phone was locked, or a card pulled.
    static func meansNoStorage(_ code: UInt16) -> Bool {
        code == invalidStorage || code == storeNotAvailable
    }

    /// Whether a phone that answers this is alive and the session good.
    static func comesFromThePhone(_ code: Int) -> Bool {
        (0x2000...0x2FFF).contains(code) && code != sessionNotOpen
            || (0xA800...0xA8FF).contains(code)
    }
}
