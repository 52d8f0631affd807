//! The words of the sign-in page in the visitor's language.

/// One language's words. `continue_to` surrounds the application's name.
#[derive(Debug, serde::Serialize)]
pub(super) struct Phrases {
    /// BCP 47.
    pub(super) tag: &'static str,
    pub(super) sign_in: &'static str,
    continue_to: [&'static str; 2],
    username: &'static str,
    password: &'static str,
    wrong: &'static str,
    stale: &'static str,
    development: &'static str,
    choose: &'static str,
    with_password: &'static str,
}

/// The `lang` parameter if we speak it, then what the browser prefers, then English. Quality values are not weighed:
/// browsers list languages in order of preference already.
pub(super) fn choose(lang: Option<&str>, accept_language: Option<&str>) -> &'static Phrases {
    let wanted = lang.into_iter().chain(accept_language.into_iter().flat_map(|list| list.split(',')));
    let primary = wanted.map(|tag| tag.split([';', '-', '_']).next().unwrap_or_default().trim().to_ascii_lowercase());
    primary.filter_map(|tag| LANGUAGES.iter().find(|phrases| phrases.tag == tag)).next().unwrap_or(&LANGUAGES[0])
}

static LANGUAGES: [Phrases; 5] = [
    Phrases {
        tag: "en",
        sign_in: "Sign in",
        continue_to: ["to continue to ", ""],
        username: "User name",
        password: "Password",
        wrong: "That user name and password do not go together. Please try again.",
        stale: "This page had been open for too long. Please sign in again.",
        development: "Development sign-in",
        choose: "Choose a sample user; the password is beside the name.",
        with_password: "password",
    },
    Phrases {
        tag: "de",
        sign_in: "Anmelden",
        continue_to: ["weiter zu ", ""],
        username: "Benutzername",
        password: "Passwort",
        wrong: "Benutzername und Passwort passen nicht zusammen. Bitte versuchen Sie es noch einmal.",
        stale: "Diese Seite war zu lange offen. Bitte melden Sie sich noch einmal an.",
        development: "Anmeldung für die Entwicklung",
        choose: "Wählen Sie einen Beispielbenutzer; das Passwort steht daneben.",
        with_password: "Passwort",
    },
    Phrases {
        tag: "fr",
        sign_in: "Se connecter",
        continue_to: ["pour accéder à ", ""],
        username: "Nom d’utilisateur",
        password: "Mot de passe",
        wrong: "Ce nom d’utilisateur et ce mot de passe ne vont pas ensemble. Veuillez réessayer.",
        stale: "Cette page est restée ouverte trop longtemps. Veuillez vous connecter à nouveau.",
        development: "Connexion de développement",
        choose: "Choisissez un utilisateur d’exemple ; le mot de passe est à côté.",
        with_password: "mot de passe",
    },
    Phrases {
        tag: "es",
        sign_in: "Iniciar sesión",
        continue_to: ["para continuar a ", ""],
        username: "Nombre de usuario",
        password: "Contraseña",
        wrong: "El nombre de usuario y la contraseña no coinciden. Inténtelo de nuevo.",
        stale: "Esta página llevaba demasiado tiempo abierta. Inicie sesión de nuevo.",
        development: "Inicio de sesión de desarrollo",
        choose: "Elija un usuario de ejemplo; la contraseña está al lado.",
        with_password: "contraseña",
    },
    Phrases {
        tag: "ja",
        sign_in: "サインイン",
        continue_to: ["", " に進みます"],
        username: "ユーザー名",
        password: "パスワード",
        wrong: "ユーザー名とパスワードが一致しません。もう一度お試しください。",
        stale: "ページが長い間開かれていました。もう一度サインインしてください。",
        development: "開発用サインイン",
        choose: "サンプルユーザーを選んでください。パスワードは横に表示されています。",
        with_password: "パスワード",
    },
];

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn the_request_comes_before_the_browser_and_english_is_the_rest() {
        assert_eq!(choose(Some("fr"), Some("de-AT,de;q=0.9")).tag, "fr");
        assert_eq!(choose(Some("pt-BR"), Some("de-AT,de;q=0.9")).tag, "de");
        assert_eq!(choose(None, Some("pt, ja;q=0.8, en;q=0.5")).tag, "ja");
        assert_eq!(choose(None, None).tag, "en");
    }
}
