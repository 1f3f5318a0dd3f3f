/// How much a simulated iPhone holds; the same numbers give the same data for ever.
package struct PhoneDataSpec: Sendable, Equatable {
    /// How many files besides the databases of messages, contacts and the like. A phone with 0
    /// files and 0 bytes is freshly erased: it has nothing at all.
    package var fileCount = 400
    /// How many bytes these files have together; exact.
    package var byteCount: UInt64 = 50_000_000
    /// Chooses names, dates and content.
    package var seed: UInt64 = 1

    /// A small phone.
    package init() {}

    /// A phone with these numbers; `fileCount` is cut to 0...4,000,000.
    package init(fileCount: Int, byteCount: UInt64, seed: UInt64 = 1) {
        self.fileCount = min(max(0, fileCount), 4_000_000)
        self.byteCount = min(byteCount, 1 << 44)
        self.seed = seed
    }

    /// Whether the phone has nothing.
    var isErased: Bool { fileCount == 0 && byteCount == 0 }
}
