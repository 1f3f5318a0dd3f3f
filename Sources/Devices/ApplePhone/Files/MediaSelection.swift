import BackupCore

/// What of the media folder is saved: what a person made, and what gives it order.
///
/// Left out is what the phone makes itself and would only make again: thumbnails, caches and
/// search indexes (they are larger than one thinks and change all the time), and
/// `iTunes_Control`, which holds bought music that no other phone may play. See
/// docs/decisions/0041.
enum MediaSelection {
    /// What is saved of the root, in the order it is read: photos first.
    static let top: [EntryName] = ["DCIM", "PhotoData", "Recordings", "Books", "Downloads"]

    /// What is saved of `PhotoData`.
    private static let photoData: Set<EntryName> = [
        // The database: albums, favourites, dates, places, which edit belongs to which photo.
        "Photos.sqlite", "Photos.sqlite-wal", "Photos.sqlite-shm", "AlbumsMetadata",
        // Edited photos and the recipes of their edits.
        "Mutations",
        // Originals that came from iCloud or from a shared album and do not lie in DCIM.
        "CPLAssets", "PhotoCloudSharingData",
    ]

    static let photoDatabase: EntryPath = EntryPath(["PhotoData", "Photos.sqlite"])

    /// Its write-ahead log.
    static let photoLog: EntryPath = EntryPath(["PhotoData", "Photos.sqlite-wal"])

    /// Whether the entry `name` of `folder` is saved.
    static func includes(_ name: EntryName, in folder: EntryPath) -> Bool {
        switch folder.names {
        case []: top.contains(name)
        case ["PhotoData"]: photoData.contains(name)
        default: true
        }
    }
}
