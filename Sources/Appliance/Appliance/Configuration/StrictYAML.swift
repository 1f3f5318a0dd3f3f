import BackupCore
import Yams

/// A YAML value with the place it was read from. The only file that knows the YAML library.
///
/// Types are YAML's own: a plain `12` is a number and never a text, so that a wrong type can be
/// refused instead of guessed.
struct StrictYAML: Sendable {
    /// What the value is.
    enum Content: Sendable {
        case null
        case bool(Bool)
        case integer(Int)
        case number(Double)
        case text(String)
        case list([StrictYAML])
        case table([(key: String, place: Place, value: StrictYAML)])
    }

    /// Where a value stands: a line of a file, or a variable.
    struct Place: Sendable, CustomStringConvertible {
        let source: String
        /// From 1; nil for a variable.
        let line: Int?

        var description: String {
            HostileText.escaped(source) + (line.map { ":\($0)" } ?? "")
        }
    }

    let content: Content
    let place: Place

    /// The single value in `text`; an empty text is `null`. `source` names the file or variable.
    static func read(
        _ text: String, source: String, isFile: Bool
    ) throws(ConfigurationProblem) -> StrictYAML {
        let whole = Place(source: source, line: isFile ? 1 : nil)
        let node: Node?
        do {
            node = try compose(yaml: text, .default, .default, .utf8)
        } catch let error as YamlError {
            throw problem(error, whole)
        } catch {
            throw ConfigurationProblem(whole, "it is not YAML")
        }
        guard let node else { return StrictYAML(content: .null, place: whole) }
        return try convert(node, source: source, isFile: isFile, depth: 0)
    }

    private static func convert(
        _ node: Node, source: String, isFile: Bool, depth: Int
    ) throws(ConfigurationProblem) -> StrictYAML {
        let place = Place(source: source, line: isFile ? node.mark?.line ?? 1 : nil)
        guard depth < 8 else { throw ConfigurationProblem(place, "it is nested too deeply") }
        switch node {
        case .scalar:
            return StrictYAML(content: scalar(node), place: place)
        case .sequence(let sequence):
            var list: [StrictYAML] = []
            for element in sequence {
                list.append(
                    try convert(element, source: source, isFile: isFile, depth: depth + 1))
            }
            return StrictYAML(content: .list(list), place: place)
        case .mapping(let mapping):
            var table: [(key: String, place: Place, value: StrictYAML)] = []
            for (key, value) in mapping {
                let keyPlace = Place(source: source, line: isFile ? key.mark?.line ?? 1 : nil)
                guard case .scalar(let scalar) = key else {
                    throw ConfigurationProblem(keyPlace, "a key must be a plain word")
                }
                let converted = try convert(
                    value, source: source, isFile: isFile, depth: depth + 1)
                table.append((scalar.string, keyPlace, converted))
            }
            return StrictYAML(content: .table(table), place: place)
        case .alias:
            throw ConfigurationProblem(place, "aliases are not used here")
        }
    }

    private static func scalar(_ node: Node) -> Content {
        let text = node.string ?? ""
        switch node.tag.description {
        case Tag.Name.null.rawValue: return .null
        case Tag.Name.bool.rawValue: return node.bool.map(Content.bool) ?? .text(text)
        case Tag.Name.int.rawValue: return node.int.map(Content.integer) ?? .text(text)
        case Tag.Name.float.rawValue: return node.float.map(Content.number) ?? .text(text)
        default: return .text(text)
        }
    }

    private static func problem(_ error: YamlError, _ whole: Place) -> ConfigurationProblem {
        func at(_ mark: Mark, _ reason: String) -> ConfigurationProblem {
            let line = whole.line == nil ? nil : mark.line
            return ConfigurationProblem(Place(source: whole.source, line: line), reason)
        }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return at(mark, "it is not YAML: \(HostileText.escaped(problem, limit: 200))")
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.sorted().map { HostileText.escaped($0, limit: 60) }
            return at(context.mark, "given twice: \(names.joined(separator: ", "))")
        case .reader(let problem, _, _, _):
            return ConfigurationProblem(
                whole, "it is not YAML: \(HostileText.escaped(problem, limit: 200))")
        default:
            return ConfigurationProblem(whole, "it is not YAML")
        }
    }
}

/// One thing that is wrong in the configuration, with its place.
struct ConfigurationProblem: Error {
    let place: StrictYAML.Place
    let reason: String

    init(_ place: StrictYAML.Place, _ reason: String) {
        self.place = place
        self.reason = reason
    }

    /// The error for people: `FILE:LINE: reason`.
    var error: ApplianceError {
        ApplianceError(
            .configuration, "\(place): \(reason).",
            whatToDo: "Correct this line and try again.")
    }
}
