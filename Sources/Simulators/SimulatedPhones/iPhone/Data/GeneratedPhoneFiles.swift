/// The many files of a phone, each of which follows from its number, so that a million of them
/// take no room.
struct GeneratedPhoneFiles: Sendable {
    private let spec: PhoneDataSpec

    init(_ spec: PhoneDataSpec) {
        self.spec = spec
    }

    var count: Int { spec.fileCount }

    /// A kind of file: where it lies and its share of the bytes.
    private enum Slot {
        case photo(weight: UInt64)
        case video
        case chatPhoto
        case chatVoice
        case attachment
        case preference
        case appDocument
        case thumbnail
        case download
        case recording

        var isPhoto: Bool {
            switch self {
            case .photo, .video: true
            default: false
            }
        }

        var weight: UInt64 {
            switch self {
            case .photo(let weight): weight
            case .video: 120
            case .chatPhoto: 5
            case .chatVoice, .preference, .appDocument, .thumbnail: 1
            case .attachment: 6
            case .download: 8
            case .recording: 10
            }
        }
    }

    /// The kinds in turn: about a third photos, which have most of the bytes.
    private static let slots: [Slot] = [
        .photo(weight: 30), .chatPhoto, .appDocument, .photo(weight: 25), .attachment, .preference,
        .chatPhoto, .video, .appDocument, .thumbnail, .photo(weight: 28), .chatPhoto, .chatVoice,
        .download, .recording, .photo(weight: 33),
    ]
    private static let turnWeight = slots.reduce(0) { $0 + $1.weight }
    private static let sums = slots.reduce(into: [UInt64(0)]) { sums, slot in
        sums.append((sums.last ?? 0) + slot.weight)
    }

    private static func weight(upTo index: Int) -> UInt64 {
        UInt64(index / slots.count) * turnWeight + sums[index % slots.count]
    }

    /// Bytes of the first `index` files together.
    private func bytes(upTo index: Int) -> UInt64 {
        let total = max(1, Self.weight(upTo: count))
        let product = spec.byteCount.multipliedFullWidth(by: Self.weight(upTo: index))
        return total.dividingFullWidth(product).quotient
    }

    private func noise(_ index: Int, _ salt: UInt64) -> UInt64 {
        SeededGenerator.mixed(
            SeededGenerator.mixed(spec.seed &+ salt) &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
    }

    /// The file of a number below `count`, after `version` changes.
    func item(_ index: Int, version: UInt64 = 0) -> PhoneItem {
        let slot = Self.slots[index % Self.slots.count]
        let place = place(of: slot, index)
        let first: Int64 = 1_577_836_800  // 2020-01-01
        let born = first + Int64(noise(index, 1) % 172_000_000)
        var size = bytes(upTo: index + 1) - bytes(upTo: index)
        // Some changes make a file longer, some only different.
        if index % 2 == 1, version > 0 { size += 512 * version }
        return PhoneItem(
            domain: place.domain, path: place.path, modified: born + Int64(version) * 3_600,
            born: born, protectionClass: place.isOpen ? 4 : 3,
            content: .generated(
                DeterministicBytes(
                    seed: noise(index, 2 &+ version), texture: place.texture, byteCount: size,
                    magic: GeneratedNames.magic(of: place.path.lowercased()))))
    }

    private struct Place {
        var domain: String
        var path: String
        var texture = DeterministicBytes.Texture.noise
        var isOpen = false
    }

    /// How many photos and videos come before each slot of a turn; at the end, in all of it.
    private static let photosBefore = slots.reduce(into: [0]) { counts, slot in
        counts.append((counts.last ?? 0) + (slot.isPhoto ? 1 : 0))
    }

    /// The photo of a number; nil when the file is none.
    private func photo(_ index: Int) -> PhotoAsset? {
        let place = index % Self.slots.count
        let slot = Self.slots[place]
        guard slot.isPhoto else { return nil }
        let before = index / Self.slots.count * (Self.photosBefore.last ?? 0)
        var kind = PhotoAsset.Kind.heic
        if case .video = slot { kind = .video } else if index % 5 == 0 { kind = .jpeg }
        return PhotoAsset(
            number: before + Self.photosBefore[place] + 1, kind: kind, isLocal: true,
            byteCount: Int(bytes(upTo: index + 1) - bytes(upTo: index)))
    }

    private func place(of slot: Slot, _ index: Int) -> Place {
        let number = padded(index, 6)
        if let photo = photo(index) {
            return Place(
                domain: "CameraRollDomain", path: "Media/\(photo.folder)/\(photo.name)")
        }
        switch slot {
        case .thumbnail:
            return Place(
                domain: "CameraRollDomain",
                path: "Media/PhotoData/Thumbnails/\(padded(index / 1000, 4))/\(number).THM")
        case .recording:
            return Place(
                domain: "MediaDomain", path: "Media/Recordings/2024\(number).m4a")
        case .attachment:
            let byte = hexadecimal([UInt8(truncatingIfNeeded: noise(index, 3) & 15)])
            return Place(
                domain: "MediaDomain",
                path: "Library/SMS/Attachments/\(byte)/\(padded(index / 1000, 4))/\(number).jpg")
        case .preference:
            return Place(
                domain: "HomeDomain",
                path: "Library/Preferences/com.example.setting\(number).plist", texture: .text,
                isOpen: true)
        default: return appPlace(of: slot, index, number)
        }
    }

    private func appPlace(of slot: Slot, _ index: Int, _ number: String) -> Place {
        let chat = "AppDomainGroup-group.net.whatsapp.WhatsApp.shared"
        switch slot {
        case .chatPhoto:
            return Place(
                domain: chat, path: "Message/Media/\(padded(index / 1000, 4))/\(number).jpg")
        case .chatVoice:
            return Place(
                domain: chat, path: "Message/Media/\(padded(index / 1000, 4))/\(number).opus")
        case .download:
            return Place(
                domain: "AppDomainGroup-group.com.apple.FileProvider.LocalStorage",
                path: "File Provider Storage/Downloads/Letter \(number).pdf")
        default:
            let app = Self.apps[Int(noise(index, 4) % UInt64(Self.apps.count))]
            return Place(
                domain: "AppDomain-\(app)",
                path: "Documents/\(padded(index / 1000, 4))/\(Self.awkward(index))\(number).txt",
                texture: .text)
        }
    }

    /// Bundle identifiers of the apps that have documents.
    static let apps = ["net.whatsapp.WhatsApp", "com.spotify.client", "org.example.notes"]

    /// Now and then a name that troubles programs.
    private static func awkward(_ index: Int) -> String {
        switch index / slots.count % 40 {
        case 1: "M\u{FC}ller "
        case 2: "Mu\u{308}ller "
        case 3: "\u{1F389} \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} "
        case 4: "\u{65E5}\u{672C}\u{8A9E} "
        case 5: String(repeating: "\u{E9}", count: 100)
        case 6: "9.41\u{202F}AM "
        default: "Note "
        }
    }

    /// Photos and videos among the first `limit` numbers, for the photo library's index.
    func photos(limit: Int) -> [PhotoAsset] {
        (0..<min(count, limit)).compactMap { photo($0) }
    }
}

/// A number with leading zeros.
func padded(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
}
