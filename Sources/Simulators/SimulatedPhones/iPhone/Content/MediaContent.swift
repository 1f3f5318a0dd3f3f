/// Lays out the media folder that AFC serves, on the machine's disk: what hosts change there
/// stays changed.
enum MediaContent {
    private static let heicHead: [UInt8] =
        [0, 0, 0, 0x24] + Array("ftypheic".utf8) + [0, 0, 0, 0]
        + Array("mif1MiHEmiafMiHBheic".utf8)
    private static let movieHead: [UInt8] =
        [0, 0, 0, 0x14] + Array("ftypqt  ".utf8) + [0, 0, 0, 0] + Array("qt  ".utf8)
    private static let jpegHead: [UInt8] =
        [0xFF, 0xD8, 0xFF, 0xE1, 0, 0x18] + Array("Exif\0\0".utf8)
    private static let soundHead: [UInt8] =
        [0, 0, 0, 0x1C] + Array("ftypM4A ".utf8) + [0, 0, 0, 0] + Array("M4A mp42isom".utf8)

    /// Writes everything below `folder`.
    static func write(_ spec: MediaSpec, to folder: String) throws {
        let assets = PhotoAsset.library(spec)
        var files = assets.filter(\.isLocal).flatMap { Self.files(of: $0, spec) }
        files += others(spec)
        try TreeWriter.write(files, to: folder)
        let database = "/PhotoData/Photos.sqlite"
        try PhotosDatabase.write(assets, to: folder + database)
        try MediaFolder(root: folder).setModified(database, to: 1_720_000_000_500_000_000)
    }

    private static func file(
        _ path: String, of asset: PhotoAsset, _ spec: MediaSpec, head: [UInt8], count: Int,
        salt: UInt64 = 0
    ) -> GeneratedFile {
        let seed = SeededGenerator.mixed(
            spec.seed &+ UInt64(asset.number) &* 0x1_0000_0001 &+ salt &* 0x9E37)
        return GeneratedFile(
            path: path, modified: asset.taken, nanoseconds: asset.nanoseconds,
            content: DeterministicBytes(
                seed: seed, texture: .noise, byteCount: UInt64(count),
                magic: Array(head.prefix(count))))
    }

    private static func files(of asset: PhotoAsset, _ spec: MediaSpec) -> [GeneratedFile] {
        let path = "\(asset.folder)/\(asset.name)"
        let head =
            switch asset.kind {
            case .heic, .live: heicHead
            case .jpeg, .edited: jpegHead
            case .video: movieHead
            }
        var files = [file(path, of: asset, spec, head: head, count: asset.byteCount)]
        if asset.kind == .live {
            files.append(
                file(
                    "\(asset.folder)/\(asset.stem).MOV", of: asset, spec, head: movieHead,
                    count: asset.byteCount / 2, salt: 1))
        }
        if asset.kind == .edited { files += edits(of: asset, spec) }
        files.append(
            file(
                "PhotoData/Thumbnails/V2/\(path)/5005.JPG", of: asset, spec, head: jpegHead,
                count: min(2000, asset.byteCount), salt: 2))
        return files
    }

    /// What the Photos app keeps of an edit: what was done, and the picture it gave.
    private static func edits(of asset: PhotoAsset, _ spec: MediaSpec) -> [GeneratedFile] {
        let what = PropertyList.dictionary([
            "adjustmentFormatIdentifier": "com.apple.photo", "adjustmentFormatVersion": "1.5",
            "adjustmentData": .data(Array("crop \(asset.number)".utf8)),
        ]).encodeXML()
        let folder = "PhotoData/Mutations/\(asset.folder)/\(asset.stem)/Adjustments"
        return [
            file(
                "\(asset.folder)/\(asset.stem).AAE", of: asset, spec, head: what,
                count: what.count),
            file(
                "\(folder)/Adjustments.plist", of: asset, spec, head: what, count: what.count),
            file(
                "\(folder)/FullSizeRender.jpg", of: asset, spec, head: jpegHead,
                count: asset.byteCount / 2, salt: 3),
        ]
    }

    /// Everything that is no photo.
    private static func others(_ spec: MediaSpec) -> [GeneratedFile] {
        func entry(_ path: String, head: [UInt8], count: Int) -> GeneratedFile {
            let seed = path.utf8.reduce(spec.seed) { ($0 &* 31) &+ UInt64($1) }
            return GeneratedFile(
                path: path, modified: 1_720_000_000, nanoseconds: 500_000_000,
                content: DeterministicBytes(
                    seed: seed, texture: .noise, byteCount: UInt64(count), magic: head))
        }
        func list(_ path: String, _ value: PropertyList) -> GeneratedFile {
            let bytes = value.encodeBinary()
            return entry(path, head: bytes, count: bytes.count)
        }
        return [
            entry("Recordings/20240131 120000-A1B2C3D4.m4a", head: soundHead, count: 40_000),
            entry("Recordings/20240702 081530-0F1E2D3C.m4a", head: soundHead, count: 12_345),
            entry("Books/Managed/reader.epub", head: Array("PK\u{3}\u{4}".utf8), count: 30_000),
            list("Books/Purchases/Purchases.plist", ["Books": []]),
            entry("Downloads/Anleitung – größer.pdf", head: Array("%PDF-1.7\n".utf8), count: 9000),
            list("iTunes_Control/iTunes/iTunesPrefs.plist", ["iPodPrefs": .data([1, 2, 3])]),
            list("iTunes_Control/iTunes/Ringtones.plist", ["Ringtones": [:]]),
            entry("iTunes_Control/iTunes/iTunesPrefs", head: Array("frpd".utf8), count: 200),
            entry("iTunes_Control/Music/F00/ABCD.m4a", head: soundHead, count: 20_000),
            entry("PublicStaging/.keep", head: [], count: 0),
            // Also on a phone without a photo.
            entry("DCIM/.MISC/.keep", head: [], count: 0),
            entry("PhotoData/protection", head: [], count: 0),
        ]
    }
}
