internal import BackupCore

/// What a phone may make us list. Passing one ends the capture with 51 and no snapshot.
package struct ListingLimits: Hashable, Sendable {
    /// Folders within folders, counted below a storage.
    package var depth = 64
    package var entriesPerFolder = 1_000_000
    package var entries = 5_000_000

    /// The limits of a product; tests use smaller ones.
    package init() {}
}

/// How much of the last complete snapshot may be gone before a person is asked.
package struct ShrinkLimits: Hashable, Sendable {
    /// More than this part of the files or of the bytes, in percent.
    package var percent = 25
    /// But only when at least this many files are concerned.
    package var leastFiles = 20

    /// A quarter, and at least 20 files.
    package init() {}

    /// Limits from a configuration.
    package init(percent: Int, leastFiles: Int) {
        self.percent = percent
        self.leastFiles = leastFiles
    }
}
