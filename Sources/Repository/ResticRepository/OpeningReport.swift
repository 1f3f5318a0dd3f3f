package import BackupCore

/// What was found when a repository was opened.
package struct OpeningReport: Hashable, Sendable {
    /// Index files that no copy has good. Their blobs count as unknown, except those of packs
    /// that were taken over.
    package var unreadableIndexes: [FileName] = []
    /// Packs that an index names and no drive holds with the right size. Their blobs count as
    /// unknown, so that the next backup stores them again.
    package var missingPacks: [FileName] = []
    /// Good packs without an index, left by a run that was killed; the next checkpoint indexes
    /// them. Only looked for when opened for writing.
    package var adoptedPacks: [FileName] = []
    /// Packs without an index that are damaged. They harm nothing and are left as they are.
    package var ignoredPacks: [FileName] = []

    /// A report of nothing.
    package init() {}
}
